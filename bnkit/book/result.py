"""What a check found, in words that need no colour, with the numbers that show it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bnkit.book.reread import link

__all__ = ["CheckResult", "Sample"]

HEADLINES = {
    "passed": "Passed",
    "mistake": "Not yet: {mistake}",
    "unknown": "Not yet: {stage} differs",
    "not started": "Not started",
    "raised": "Your code raised an exception",
    "stopped": "Stopped: your code did not finish",
    "broken": "The check itself failed",
}

READY_MADE = "Right, and ready-made: {names} did the work"
WRITE_IT = (
    "The exercise is to write it yourself. Keep yours to compare with, and try it without {names}."
)

PLAIN = 'style="margin: 0; padding: 0; border: 0; background: none; white-space: pre-wrap"'


@dataclass(frozen=True)
class Sample:
    """The smallest input on which an answer differs from the right one, and both results."""

    inputs: Mapping[str, object]
    what: str
    expected: Tensor | str
    received: Tensor | str

    def rows(self) -> list[tuple[str, str]]:
        """Label and text of each line to show."""
        lines = [(name, show(value)) for name, value in self.inputs.items()]
        return [
            *lines,
            (f"expected {self.what}", self._shown(self.expected)),
            (f"received {self.what}", self._shown(self.received)),
        ]

    def _shown(self, value: Tensor | str) -> str:
        """The value, after its shape where the shapes differ."""
        both = self.expected, self.received
        if not all(isinstance(each, Tensor) for each in both) or both[0].shape == both[1].shape:
            return show(value)
        return f"shape {tuple(value.shape)}: {show(value)}"


@dataclass(frozen=True)
class CheckResult:
    """The answer of a check. It displays itself in a notebook and prints as plain text.

    The status is passed, mistake (a known one), unknown (a wrong answer that the catalogue does not
    hold), not started, raised, stopped or broken (the check's own fault); the stage is the first
    step at which the values part.
    """

    exercise: str
    status: str
    mistake: str | None = None
    hint: str = ""
    section: str = ""
    sample: Sample | None = field(default=None, repr=False)
    stage: str | None = None
    error: str | None = None
    ready_made: str = ""
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == "passed"

    @property
    def headline(self) -> str:
        """The status in a few words."""
        if self.passed and self.ready_made:
            return READY_MADE.format(names=self.ready_made)
        return HEADLINES[self.status].format(mistake=self.mistake, stage=self.stage)

    @property
    def remarks(self) -> list[str]:
        """What else is to be said: that it is ready-made, that it is slow, what was put back."""
        ready = self.passed and self.ready_made
        return [*([WRITE_IT.format(names=self.ready_made)] if ready else []), *self.notes]

    @property
    def reread(self) -> str:
        """Chapter and heading to reread, in words."""
        if not self.section:
            return ""
        file, heading = self.section.split("#", 1)
        return f"chapter {int(file[:2])}, “{heading}”"

    def __repr__(self) -> str:
        lines = [f"{self.headline} ({self.exercise}). {self.hint}".rstrip()]
        lines += [f"Reread: {self.reread}."] if self.reread else []
        lines += [self.error] if self.error else []
        lines += self.remarks
        rows = self.sample.rows() if self.sample else []
        lines += [f"  {name}: {_indent(text, len(name) + 4)}" for name, text in rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{_escape(self.headline)}</strong> ({_escape(self.exercise)})</p>"]
        parts += [f"<p>{_escape(self.hint)}</p>"] if self.hint else []
        parts += [f"<p>Reread {link(self.section, self.reread)}.</p>"] if self.reread else []
        parts += [f"<pre {PLAIN}>{_escape(self.error)}</pre>"] if self.error else []
        parts += [f"<p>{_escape(remark)}</p>" for remark in self.remarks]
        parts += [self._table()] if self.sample else []
        style = "border-left: 0.25em solid currentColor; padding-left: 0.75em"
        return f'<div role="status" class="bnkit-check" style="{style}">{"".join(parts)}</div>'

    def _table(self) -> str:
        left = 'style="text-align: left; vertical-align: top; padding-right: 1em"'
        rows = "".join(
            f'<tr><th scope="row" {left}>{_escape(name)}</th>'
            f"<td {left}><pre {PLAIN}>{_escape(text)}</pre></td></tr>"
            for name, text in self.sample.rows()
        )
        caption = f"<caption {left}>The smallest input that shows it</caption>"
        return f"<table>{caption}{rows}</table>"


def show(value: object) -> str:
    """A value as the few digits that a reader compares."""
    if not isinstance(value, Tensor):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if value.dim() > 2:
        size = " × ".join(map(str, value.shape))
        return f"{size}:\n" + "\n\n".join(show(part) for part in value.flatten(0, -3))
    if value.dim() == 2:
        return "\n".join(show(row) for row in value)
    numbers = [f"{number:.5g}" for number in value.detach().to(torch.float64).reshape(-1).tolist()]
    return numbers[0] if value.dim() == 0 else "[" + ", ".join(numbers) + "]"


def _indent(text: str, width: int) -> str:
    return text.replace("\n", "\n" + " " * width)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
