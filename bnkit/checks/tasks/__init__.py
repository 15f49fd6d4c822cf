"""What the learner is given with every exercise, by name and in the order of the chapters."""

from __future__ import annotations

from bnkit.checks.task import Task
from bnkit.checks.tasks import beginnings, by_hand, effects, practice

__all__ = ["TASKS", "of_chapter"]

TASKS: dict[str, Task] = {
    task.name: task for module in (beginnings, by_hand, effects, practice) for task in module.TASKS
}


def of_chapter(chapter: str, in_book: bool = False) -> list[Task]:
    """The tasks of a chapter, in order.

    Args:
        chapter: The notebook's name without its ending, or a beginning of it such as ``"02"``.
        in_book: Leave out those that only assignments hold.

    Raises:
        ValueError: No chapter of that name has a task.

    Example:
        >>> [task.name for task in of_chapter("02_equations", in_book=True)]
        ['whiten']
    """
    found = [task for task in TASKS.values() if task.chapter.startswith(chapter)]
    if not found or not chapter:
        chapters = ", ".join(dict.fromkeys(task.chapter for task in TASKS.values()))
        raise ValueError(f"got chapter {chapter!r}, expected one of {chapters}")
    return [task for task in found if task.in_book or not in_book]
