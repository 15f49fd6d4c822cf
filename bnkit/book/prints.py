"""What a learner's code prints while it is checked, up to a limit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

__all__ = ["Printed", "printed"]

LINES, CHARACTERS = 20, 2000


class Printed(io.TextIOBase):
    """A file that keeps the first lines and counts the others."""

    def __init__(self) -> None:
        self.kept, self.lines = "", 0

    def writable(self) -> bool:
        """Whether it takes text."""
        return True

    def write(self, text: str) -> int:
        """Take some text; of what is beyond the limit only the lines are counted."""
        text = str(text)
        self.lines += text.count("\n")
        if self.kept.count("\n") < LINES:
            self.kept += text[: CHARACTERS - len(self.kept)]
        return len(text)

    @property
    def text(self) -> str:
        """The first lines, and how many more there were."""
        lines = self.kept.rstrip().splitlines()[:LINES]
        if not lines:
            return ""
        more = max(self.lines - len(lines), 0)
        whole = not more and len(self.kept) < CHARACTERS
        return "\n".join(lines if whole else [*lines, f"… and {more} more lines" if more else "…"])


@contextmanager
def printed() -> Iterator[Printed]:
    """Catch what is printed, by any thread."""
    file = Printed()
    with redirect_stdout(file), redirect_stderr(file):
        yield file
