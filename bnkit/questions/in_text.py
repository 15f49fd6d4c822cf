"""The questions in the text of the chapters: a cell shows one without giving its answer away."""

from __future__ import annotations

from bnkit.page import Html
from bnkit.questions import in_text_beyond, in_text_claims, in_text_layer
from bnkit.questions.question import Question

__all__ = ["IN_TEXT", "ask"]

IN_TEXT: dict[str, Question] = {
    **in_text_layer.IN_TEXT,
    **in_text_claims.IN_TEXT,
    **in_text_beyond.IN_TEXT,
}


def ask(name: str) -> Html:
    """Ask one question in the text of a chapter; it answers without a kernel.

    The words stand in this package and not in the notebook, where whoever runs it would read the
    answer above the question.

    Args:
        name: the chapter's number and what the question is on, such as ``"02-axes"``.

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: there is no question of that name.

    Example:
        >>> repr(ask("05-place"))[:29]
        'Quiz: The layer counts its ba'
    """
    if name not in IN_TEXT:
        raise ValueError(f"got question {name!r}, expected one of {', '.join(IN_TEXT)}")
    return IN_TEXT[name].card()
