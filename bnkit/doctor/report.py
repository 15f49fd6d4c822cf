"""What an examination found: as a table, as HTML, as plain values, and as an error for CI."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from bnkit.doctor.finding import SEVERITIES, Finding, address
from bnkit.doctor.page import page
from bnkit.doctor.sketch import Sketch

__all__ = ["Report"]

WIDTH = 76


@dataclass(frozen=True)
class Report:
    """What `examine` found, the gravest first.

    Print it for a table, let a notebook show it for a page with a strip plot, and call
    `raise_if` where a program must stop.

    Args:
        model: The class of the model.
        findings: Every finding, the gravest first.
        layers: A sketch of each normalization layer: kind, mode, and what was measured.
        batches: The sizes of the batches that were read.
        seconds: Time in the passes that were measured.
        whole: Whether the graph of the model could be traced; else only neighbors in
            ``nn.Sequential`` were looked at.

    Example:
        >>> from torch import nn
        >>> from bnkit.doctor import examine
        >>> report = examine(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
        >>> report
        Report: Sequential, 1 normalization layer: 0 errors, 0 warnings, 2 notes
    """

    model: str
    findings: list[Finding]
    layers: list[Sketch] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    seconds: float = 0.0
    whole: bool = True

    def __repr__(self) -> str:
        return f"Report: {self._summary()}"

    def __str__(self) -> str:
        lines = [f"{self._subject()}:", self._counts()]
        if not self.whole:
            lines.append("The model could not be traced: structure is read off its Sequentials.")
        for group in self.grouped():
            lines += ["", *_lines(group)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return page(self._summary(), list(self.grouped()), self.layers)

    def grouped(self) -> Iterator[list[Finding]]:
        """The findings of one check and severity together, in order."""
        for _, group in groupby(self.findings, key=lambda f: (f.severity, f.check)):
            yield list(group)

    def of(self, severity: str) -> list[Finding]:
        """The findings of a severity.

        Args:
            severity: ``"error"``, ``"warning"`` or ``"note"``.

        Raises:
            ValueError: It is none of these.
        """
        wanted = _rank(severity)
        return [f for f in self.findings if f.rank == wanted]

    def raise_if(self, severity: str = "error") -> None:
        """Raise if there is a finding at least as grave; for tests and CI.

        Args:
            severity: ``"error"``, ``"warning"`` or ``"note"``.

        Raises:
            RuntimeError: In one line, with the name and the layer of each such finding.
            ValueError: `severity` is none of these.
        """
        limit = _rank(severity)
        grave = [f for f in self.findings if f.rank <= limit]
        if grave:
            names = ", ".join(f"{f.check} ({f.layer})" for f in grave)
            raise RuntimeError(f"expected no {severity} or worse, got {len(grave)}: {names}")

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values, ready for JSON."""
        return {
            "model": self.model,
            "batches": list(self.batches),
            "seconds": self.seconds,
            "traced": self.whole,
            "findings": [finding.to_dict() for finding in self.findings],
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def _summary(self) -> str:
        return f"{self._subject()}: {self._counts()}"

    def _subject(self) -> str:
        count, several = len(self.batches), "es" if len(self.batches) > 1 else ""
        seen = f", {count} batch{several} of {self.batches[0]}" if count else ""
        return f"{self.model}, {_count(len(self.layers), 'normalization layer')}{seen}"

    def _counts(self) -> str:
        return ", ".join(_count(len(self.of(severity)), severity) for severity in SEVERITIES)


def _rank(severity: str) -> int:
    if severity not in SEVERITIES:
        raise ValueError(f"got severity {severity!r}, expected one of {', '.join(SEVERITIES)}")
    return SEVERITIES.index(severity)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _lines(group: list[Finding]) -> Iterator[str]:
    """One check in the terminal: where, the evidence, the reason, the mend, the chapter."""
    first = group[0]
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    yield f"{first.severity.upper():8}{first.check}: {first.layer}{more}"
    for name, text in (("", first.evidence), ("why", first.why)):
        yield from _paragraph(name, text)
    for number, line in enumerate(first.mend.splitlines()):
        yield f"        {'mend' if number == 0 else '':6}{line}"
    yield from _paragraph("read", _short(first.reread))


def _paragraph(name: str, text: str) -> list[str]:
    lead = f"        {name:6}" if name else "        "
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))


def _short(reread: str) -> str:
    """Where to read on: the whole address if it fits a line, else chapter and heading."""
    link = address(reread)
    file, _, heading = reread.partition("#")
    chapter = f"chapter {int(file[:2])}, {heading.replace('`', '')}"
    return link if len(link) <= WIDTH - 14 else chapter
