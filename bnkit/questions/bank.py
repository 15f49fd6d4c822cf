"""The questions of all chapters, and the call that shows those of one."""

from __future__ import annotations

from bnkit.page import Html
from bnkit.questions import batches, by_hand, claims, equations, practice, relatives
from bnkit.questions.question import Question

__all__ = ["QUESTIONS", "check_yourself"]

QUESTIONS: dict[str, list[Question]] = {
    **equations.QUESTIONS,
    **by_hand.QUESTIONS,
    **claims.QUESTIONS,
    **batches.QUESTIONS,
    **relatives.QUESTIONS,
    **practice.QUESTIONS,
}


def check_yourself(chapter: str) -> Html:
    """Ask the questions that close a chapter, one card each; they answer without a kernel.

    Args:
        chapter: the notebook's name without its ending, such as ``"02_equations"``.

    Returns:
        What the last line of a cell shows: all cards in one output.

    Raises:
        ValueError: there are no questions for a chapter of that name.

    Example:
        >>> print(repr(check_yourself("02_equations")).splitlines()[0])
        Check yourself: 2 questions
    """
    if chapter not in QUESTIONS:
        raise ValueError(f"got chapter {chapter!r}, expected one of {', '.join(QUESTIONS)}")
    questions = QUESTIONS[chapter]
    cards = "\n".join(question.card().source for question in questions)
    lines = [f"Check yourself: {len(questions)} questions", *(q.text for q in questions)]
    group = f'<div role="group" aria-label="Check yourself">\n{cards}\n</div>'
    return Html(group, "\n".join(lines))
