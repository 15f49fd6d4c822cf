"""A check by the name of its exercise, whole or on the smallest input alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bnkit.checks.catalogue import EXERCISES
from bnkit.checks.exercise import examine
from bnkit.checks.result import CheckResult
from bnkit.checks.runner import LIMIT

__all__ = ["check"]


def check(
    name: str, answer: Callable, *, smallest: bool = False, limit: float = LIMIT
) -> CheckResult:
    """Check an answer to the exercise of a name.

    Args:
        name: Of the exercise, such as ``"forward"``; each has a function of its own, too, such as
            :func:`check_forward`.
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
