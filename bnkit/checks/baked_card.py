"""Cards that need no kernel: an exercise and the progress through a chapter as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from bnkit.checks.card_parts import folded, heading, hint, solution
from bnkit.checks.record import record_of
from bnkit.checks.result import CheckResult
from bnkit.checks.task import Task
from bnkit.page import Html, digest, script, widget

__all__ = ["bake_card", "bake_progress"]

CHECKING = (
    "Checking needs a running notebook. Open this chapter in Colab or JupyterLab, write your "
    "answer in place of the line that raises, run the cell, and press Check."
)
KEPT = "A running notebook shows here what you have passed and what you have tried."


def bake_card(task: Task, result: CheckResult) -> Html:
    """An exercise with folded hints and solution, and what was found at execution."""
    started = result.status != "not started"
    state = record_of(task.name).words
    parts = [
        heading(task, state),
        result._repr_html_() if started else "",
        *(folded(f"Hint {i}", hint(task, i)) for i in range(1, len(task.hints) + 1)),
        solution(task),
        f'<p class="bnkit-note">{CHECKING}</p>',
    ]
    text = f"Exercise: {task.title} ({task.answer}), {state}"
    return _section("exercise", f"Exercise: {task.title}", digest("exercise", parts), parts, text)


def bake_progress(tasks: Sequence[Task], where: str) -> Html:
    """A list of exercises, and a count of the questions that the page has seen answered right."""
    states = [f"{task.title}: {record_of(task.name).words}" for task in tasks]
    rows = "".join(f"<li>{html.escape(state).replace('`', '')}</li>" for state in states)
    key = digest("progress", where, states)
    parts = [
        f'<p class="bnkit-title"><strong>Progress through {html.escape(where)}</strong></p>',
        f"<ul>{rows}</ul>",
        '<p class="bnkit-count" role="status" hidden></p>',
        f'<p class="bnkit-note">{KEPT}</p>',
        script("progress.js", key, {}),
    ]
    text = "\n".join([f"Progress through {where}", *states])
    return _section("progress", f"Progress through {where}", key, parts, text)


def _section(kind: str, label: str, key: str, parts: Sequence[str], text: str) -> Html:
    label = html.escape(label.replace("`", ""), quote=True)
    inner = f'<div role="group" aria-label="{label}">\n' + "\n".join(filter(None, parts)) + "</div>"
    return widget("div", kind, key, [inner], text)
