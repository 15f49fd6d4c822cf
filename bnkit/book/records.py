"""How far each exercise has come in this kernel: attempts, hints, and what the last check found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bnkit.book.result import CheckResult

__all__ = ["RECORDS", "Record", "keep", "listen", "record_of", "tell"]


@dataclass
class Record:
    """Attempts (a stub is none), whether the last one was right, and what cards show again."""

    attempts: int = 0
    passed: bool = False
    ready_made: bool = False  # right, and not the exercise
    hints: int = 0
    answer: Callable | None = None  # what was checked last
    result: CheckResult | None = None
    printed: str = ""
    note: str = ""

    @property
    def words(self) -> str:
        """Its state, with a sign and in words."""
        if not self.attempts:
            return "○ not started"
        count = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        if self.ready_made:
            return f"◐ right, but ready-made, {count}"
        return f"✓ passed, {count}" if self.passed else f"… tried, {count}"


RECORDS: dict[str, Record] = {}
_LISTENERS: list[Callable[[], None]] = []


def record_of(name: str) -> Record:
    """The record of an exercise; a new one where there was none."""
    return RECORDS.setdefault(name, Record())


def keep(name: str, result: CheckResult, counts: bool = True) -> None:
    """Keep a result, count it where it counts, and tell whoever listens."""
    record = record_of(name)
    record.attempts += counts and result.status not in ("not started", "broken")
    record.ready_made = result.passed and bool(result.ready_made)
    record.passed = result.passed and not record.ready_made
    record.result = result
    tell()


def listen(listener: Callable[[], None]) -> None:
    """Call `listener` after each result, as long as its widgets live: until the kernel ends."""
    _LISTENERS.append(listener)


def tell() -> None:
    """Call whoever listens."""
    for listener in list(_LISTENERS):
        listener()
