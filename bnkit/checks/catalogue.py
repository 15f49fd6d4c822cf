"""The catalogue of known mistakes: every exercise by name, and every mistake in it."""

from __future__ import annotations

from bnkit.checks import forward
from bnkit.checks.exercise import Exercise, Mistake

__all__ = ["EXERCISES", "MISTAKES"]

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for family in (forward,) for exercise in family.EXERCISES
}
MISTAKES: list[Mistake] = [
    mistake for exercise in EXERCISES.values() for mistake in exercise.mistakes
]
