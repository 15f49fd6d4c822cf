"""One question of the bank: what :func:`bnkit.quiz.quiz` needs to show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bnkit.page import Html
from bnkit.quiz import Choice, quiz

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    r"""A question with its choices, or with a number for an answer.

    Args:
        text: the question; may hold ``\( maths \)`` and code between single backticks.
        choices: from :func:`bnkit.quiz.choice`; each wrong one is a mistake that people make.
        answer: the right number, instead of choices.
        tolerance: largest accepted distance from ``answer``.
        feedback: for a number, texts for ``"right"``, ``"wrong"`` and the values of mistakes.

    Example:
        >>> Question("One half of 3?", answer=1.5,
        ...          feedback={"right": "3 / 2.", "wrong": "Divide.", 6.0: "Doubled."}).card()
        Quiz: One half of 3?
    """

    text: str
    choices: Sequence[Choice] | None = None
    answer: float | None = None
    tolerance: float | None = None
    feedback: Mapping[str | float, str] = field(default_factory=dict)

    def card(self) -> Html:
        """The question as a quiz, which answers without a kernel."""
        return quiz(
            self.text,
            self.choices,
            answer=self.answer,
            tolerance=self.tolerance,
            feedback=self.feedback,
        )
