"""What a card of an exercise is made of, beside a kernel and in a page: HTML of its parts."""

from __future__ import annotations

import html
from collections.abc import Sequence

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bnkit.book.exercise import Exercise
from bnkit.book.page import prose
from bnkit.book.records import record_of

__all__ = ["folded", "heading", "hint", "items_of", "solution", "states"]


def heading(exercise: Exercise, state: str) -> str:
    """Title, state and statement."""
    return (
        f'<p class="bnkit-title"><strong>Exercise: {prose(exercise.title)}</strong> '
        f'<span class="bnkit-state">{html.escape(state)}</span></p>'
        f"<p>{prose(exercise.statement)}</p>"
    )


def folded(summary: str, content: str) -> str:
    """Content that one press or click unfolds; JupyterLab's shortcuts keep off its summary."""
    return (
        f'<details><summary data-lm-suppress-shortcuts="true">{summary}</summary>'
        f"{content}</details>"
    )


def hint(exercise: Exercise, number: int) -> str:
    """One hint, counted from 1."""
    return f"<p>{prose(exercise.hints[number - 1])}</p>"


def states(exercises: Sequence[Exercise]) -> list[str]:
    """Title and state of each exercise, in words."""
    return [f"{exercise.title}: {record_of(exercise.name).words}" for exercise in exercises]


def items_of(exercises: Sequence[Exercise]) -> str:
    """The same as a list."""
    shown = [html.escape(state).replace("`", "") for state in states(exercises)]
    return f"<ul>{''.join(f'<li>{state}</li>' for state in shown)}</ul>"


def solution(exercise: Exercise, passed: bool = False) -> str:
    """The solution, folded; its wide lines scroll, by keyboard too."""
    code = highlight(exercise.source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()
    block = (
        '<div class="highlight"><pre tabindex="0" role="region" '
        f'aria-label="Solution of {html.escape(exercise.answer)}">{code}</pre></div>'
    )
    return folded("The book's solution, to compare" if passed else "Solution", block)
