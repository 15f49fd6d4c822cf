"""What the chapters hold, by name: questions, exercises, and the check of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

# isort: off
from bnkit.book import (
    ch01, ch02, ch03, ch04, ch05, ch06, ch07, ch08, ch09,
    ch10, ch11, ch12, ch13, ch14, ch15, ch16, ch17, ch18, ch19, ch20,
)  # fmt: skip

# isort: on
from bnkit.book.exercise import Exercise, examine
from bnkit.book.guard import remember
from bnkit.book.quiz import Question
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["CHAPTERS", "EXERCISES", "IN_TEXT", "QUESTIONS", "check", "exercises_of"]

CHAPTERS = (
    *(ch01, ch02, ch03, ch04, ch05, ch06, ch07, ch08, ch09),
    *(ch10, ch11, ch12, ch13, ch14, ch15, ch16, ch17, ch18, ch19, ch20),
)
EXERCISES: dict[str, Exercise] = {e.name: e for chapter in CHAPTERS for e in chapter.EXERCISES}
QUESTIONS: dict[str, list[Question]] = {c.CHAPTER: c.QUESTIONS for c in CHAPTERS}
IN_TEXT: dict[str, Question] = {k: v for c in CHAPTERS for k, v in c.IN_TEXT.items()}
remember()


def exercises_of(chapter: str, in_book: bool = False) -> list[Exercise]:
    """The exercises of a chapter, or of those that begin so; `in_book` drops the assignments'."""
    found = [e for e in EXERCISES.values() if e.chapter.startswith(chapter)]
    if not found or not chapter:
        chapters = ", ".join(dict.fromkeys(e.chapter for e in EXERCISES.values()))
        raise ValueError(f"got chapter {chapter!r}, expected one of {chapters}")
    return [e for e in found if e.in_book or not in_book]


def check(
    name: str, answer: Callable, *, smallest: bool = False, limit: float = LIMIT
) -> CheckResult:
    """Check an answer to an exercise, and say which mistake was made.

    The answer runs on a few small inputs. Right answers pass however they are written. A wrong one
    is compared with a catalogue of known mistakes, and is shown the smallest input on which it
    differs. Nothing that it does, raises or forgets to end stops the notebook.

    Args:
        name: Of the exercise, such as ``"forward"``.
        answer: The learner's function or class.
        smallest: Look at the smallest input alone. That gives a first, visible test; it cannot
            tell known mistakes apart, so it names none.
        limit: Seconds that the answer may take.

    Returns:
        What was found.

    Raises:
        ValueError: There is no exercise of that name.

    Example:
        >>> check("to_pytorch", lambda keras_momentum: 1 - keras_momentum).passed
        True
        >>> constant = lambda keras_momentum: 0.25  # right for the smallest input only
        >>> check("to_pytorch", constant, smallest=True).passed
        True
        >>> check("to_pytorch", constant).passed
        False
    """
    if name not in EXERCISES:
        raise ValueError(f"got exercise {name!r}, expected one of {', '.join(EXERCISES)}")
    exercise = EXERCISES[name]
    if smallest:
        exercise = replace(exercise, probes=exercise.probes[:1], mistakes=())
    return examine(exercise, answer, limit)
