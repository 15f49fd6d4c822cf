"""The pieces of an exercise's card, which the live and the baked one share."""

from __future__ import annotations

import html

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bnkit.checks.task import Task
from bnkit.page import prose

__all__ = ["folded", "heading", "hint", "solution"]


def heading(task: Task, state: str) -> str:
    """Title, state and statement."""
    return (
        f'<p class="bnkit-title"><strong>Exercise: {prose(task.title)}</strong> '
        f'<span class="bnkit-state">{html.escape(state)}</span></p>'
        f"<p>{prose(task.statement)}</p>"
    )


def folded(summary: str, content: str) -> str:
    """Content that one press or click unfolds; JupyterLab's shortcuts keep off its summary."""
    return (
        f'<details><summary data-lm-suppress-shortcuts="true">{summary}</summary>'
        f"{content}</details>"
    )


def hint(task: Task, number: int) -> str:
    """One hint, counted from 1."""
    return f"<p>{prose(task.hints[number - 1])}</p>"


def solution(task: Task) -> str:
    """The solution, folded; its wide lines scroll, by keyboard too."""
    code = highlight(task.source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()
    block = (
        '<div class="highlight"><pre tabindex="0" role="region" '
        f'aria-label="Solution of {html.escape(task.answer)}">{code}</pre></div>'
    )
    return folded("Solution", block)
