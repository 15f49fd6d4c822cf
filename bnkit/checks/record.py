"""What was checked in this session: attempts and the last result of each exercise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bnkit.checks.result import CheckResult

__all__ = ["RECORDS", "Record", "keep", "listen", "record_of"]


@dataclass
class Record:
    """How far an exercise has come.

    Args:
        attempts: How often an answer was checked; a stub is no attempt.
        passed: Whether the last answer was right.
    """

    attempts: int = 0
    passed: bool = False

    @property
    def words(self) -> str:
        """Its state, with a sign and in words.

        Example:
            >>> Record(2, passed=True).words
            '✓ passed, 2 attempts'
        """
        if not self.attempts:
            return "○ not started"
        count = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"✓ passed, {count}" if self.passed else f"… tried, {count}"


RECORDS: dict[str, Record] = {}
_LISTENERS: list[Callable[[], None]] = []


def record_of(name: str) -> Record:
    """The record of an exercise; a new one where there was none."""
    return RECORDS.setdefault(name, Record())


def keep(name: str, result: CheckResult) -> None:
    """Count a result, and tell whoever listens."""
    record = record_of(name)
    record.attempts += result.status != "not started"
    record.passed = result.passed
    for listener in list(_LISTENERS):
        listener()


def listen(listener: Callable[[], None]) -> None:
    """Call `listener` after each result, as long as its widgets live: until the kernel ends."""
    _LISTENERS.append(listener)
