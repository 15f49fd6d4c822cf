"""The catalogue of known mistakes: every exercise by name, and every mistake in it."""

from __future__ import annotations

from bnkit.checks import (
    backward,
    evaluating,
    folding,
    forward,
    layer,
    merging,
    relatives,
    running,
    stopping,
    whitening,
)
from bnkit.checks.exercise import Exercise, Mistake

__all__ = ["EXERCISES", "MISTAKES"]

FAMILIES = (
    forward,
    backward,
    running,
    layer,
    stopping,
    folding,
    merging,
    evaluating,
    relatives,
    whitening,
)
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for family in FAMILIES for exercise in family.EXERCISES
}
MISTAKES: list[Mistake] = [
    mistake for exercise in EXERCISES.values() for mistake in exercise.mistakes
]
