"""What a learner is given with an exercise: statement, stub, hints and solution, as data."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """The learner's side of an exercise; its probes and mistakes are those of the same name.

    Args:
        name: As in the catalogue.
        chapter: The notebook's name without its ending.
        title: A few words.
        statement: What to write, with the signature, in one or two sentences; `` `code` `` may
            occur.
        solution: A right answer as a learner would write it. It stands in
            ``bnkit.checks.solutions``, and its source is what is shown and handed out.
        hints: Two or three, from a nudge to a lead.
        in_book: Whether the chapter shows it; the others are for assignments.

    Example:
        >>> from bnkit.checks.tasks import TASKS
        >>> print(TASKS["to_pytorch"].stub)
        def to_pytorch(keras_momentum):
            raise NotImplementedError
    """

    name: str
    chapter: str
    title: str
    statement: str
    solution: Callable
    hints: tuple[str, ...]
    in_book: bool = True

    @property
    def answer(self) -> str:
        """The name that the learner gives to the function or class."""
        return self.solution.__name__

    @cached_property
    def source(self) -> str:
        """The solution's source."""
        return textwrap.dedent(inspect.getsource(self.solution)).strip()

    @property
    def stub(self) -> str:
        """The solution up to its first body, and a line that raises NotImplementedError."""
        head, body = self.parts
        return f"{head}\n{_indent(body)}raise NotImplementedError"

    @cached_property
    def parts(self) -> tuple[str, str]:
        """The source up to the first line of a body, and from there on."""
        node = ast.parse(self.source).body[0]
        if isinstance(node, ast.ClassDef):
            node = node.body[0]  # its first method
        lines, at = self.source.splitlines(), node.body[0].lineno - 1
        while lines[at - 1].lstrip().startswith("#"):
            at -= 1  # a comment before the first statement belongs to the body
        return "\n".join(lines[:at]), "\n".join(lines[at:])

    @property
    def marked(self) -> str:
        """The source with nbgrader's marks around what a student writes."""
        head, body = self.parts
        space = _indent(body)
        return f"{head}\n{space}### BEGIN SOLUTION\n{body}\n{space}### END SOLUTION"


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]
