"""The exercises of a chapter as cards, and the progress through them."""

from __future__ import annotations

from collections.abc import Callable

from bnkit.checks.baked_card import bake_card, bake_progress
from bnkit.checks.catalogue import EXERCISES
from bnkit.checks.exercise import examine
from bnkit.checks.live_card import live_card, live_progress
from bnkit.checks.record import RECORDS, keep, record_of
from bnkit.checks.tasks import TASKS, of_chapter
from bnkit.home import widget_home

__all__ = ["exercise", "progress"]


def exercise(name: str, answer: Callable) -> object:
    """Show an exercise: what to write, a check, hints and the solution.

    With a kernel each press of Check takes the function or class that has the answer's name by
    then, counts the attempt and says what was found. In a notebook that is executed for the page
    the answer is checked once, and hints and solution are folded, so that no kernel is needed.

    Args:
        name: Of the exercise, as in ``bnkit.checks.tasks``.
        answer: The learner's function or class, finished or a stub.

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: There is no exercise of that name.
        TypeError: The answer cannot be called.

    Example:
        >>> def to_pytorch(keras_momentum):
        ...     raise NotImplementedError
        >>> exercise("to_pytorch", to_pytorch)
        Exercise: Convert (to_pytorch), ○ not started
    """
    if name not in TASKS:
        raise ValueError(f"got exercise {name!r}, expected one of {', '.join(TASKS)}")
    if not callable(answer):
        raise TypeError(f"got an answer of type {type(answer).__name__}, expected {_kind(name)}")
    record_of(name)
    if widget_home() == "live":
        return live_card(TASKS[name], answer)
    result = examine(EXERCISES[name], answer)
    if result.status != "not started":
        RECORDS.pop(name, None)  # baked twice, an answer is still one attempt
        keep(name, result)
    return bake_card(TASKS[name], result)


def progress(chapter: str | None = None) -> object:
    """Show how far the exercises have come; beside a kernel it follows every check.

    In the page it also counts the questions that were answered right there.

    Args:
        chapter: The notebook's name without its ending, such as ``"02_equations"``; None for all
            exercises that were shown in this session.

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: No chapter of that name has exercises.

    Example:
        >>> progress("02_equations")
        Progress through chapter 2
        Whitening: ○ not started
    """
    if chapter is None:
        tasks, where = [TASKS[name] for name in RECORDS if name in TASKS], "the exercises so far"
    else:
        tasks, where = of_chapter(chapter, in_book=True), f"chapter {int(chapter[:2])}"
    show = live_progress if widget_home() == "live" else bake_progress
    return show(tasks, where)


def _kind(name: str) -> str:
    kind = "class" if isinstance(TASKS[name].solution, type) else "function"
    return f"the {kind} {TASKS[name].answer}"
