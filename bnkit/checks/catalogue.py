"""The catalogue of known mistakes: every exercise by name, and every mistake in it."""

from __future__ import annotations

from bnkit.checks import (
    backward,
    blocks,
    clinic,
    evaluating,
    folding,
    forward,
    layer,
    merging,
    preprocessing,
    relatives,
    running,
    scaling,
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
    preprocessing,
    scaling,
    blocks,
    clinic,
)
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for family in FAMILIES for exercise in family.EXERCISES
}
MISTAKES: list[Mistake] = [
    mistake for exercise in EXERCISES.values() for mistake in exercise.mistakes
]
