"""Cards beside a kernel: ipywidgets 7.7.1 and later."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Sequence

from bnkit.checks.card_parts import heading, hint, solution
from bnkit.checks.catalogue import EXERCISES
from bnkit.checks.exercise import examine
from bnkit.checks.record import keep, listen, record_of
from bnkit.checks.runner import LIMIT
from bnkit.checks.task import Task
from bnkit.page import style

__all__ = ["live_card", "live_progress"]


def live_card(task: Task, answer: Callable) -> object:
    """An exercise with buttons that check the answer and show hints one at a time.

    Args:
        task: The exercise.
        answer: The learner's function or class; each check takes what has its name by then.

    Returns:
        An ``ipywidgets.VBox`` of heading, buttons, result, hints and solution.
    """
    import ipywidgets as widgets

    head, hints, found = widgets.HTMLMath(), widgets.HTMLMath(), widgets.HTML()
    check_button = widgets.Button(description="Check")
    hint_button = widgets.Button()
    shown: list[str] = []

    def show_state() -> None:
        head.value = style("live_card.css") + heading(task, record_of(task.name).words)

    def check(_button: object = None) -> None:
        check_button.description = "Checking …"
        try:
            current = latest(answer)
            result = examine(EXERCISES[task.name], current, LIMIT)
        finally:
            check_button.description = "Check again"
        keep(task.name, result)
        found.value = result._repr_html_()

    def show_hint(_button: object = None) -> None:
        shown.append(f"<li>{hint(task, len(shown) + 1)}</li>")
        hints.value = f'<ol role="status" aria-label="Hints">{"".join(shown)}</ol>'
        name_hint_button()

    def name_hint_button() -> None:
        hint_button.disabled = len(shown) == len(task.hints)
        number = min(len(shown) + 1, len(task.hints))
        hint_button.description = f"Hint {number} of {len(task.hints)}"

    check_button.on_click(check)
    hint_button.on_click(show_hint)
    listen(show_state)
    show_state()
    name_hint_button()
    buttons = widgets.HBox([check_button, hint_button], layout={"flex_flow": "row wrap"})
    return _card(widgets, [head, buttons, found, hints, widgets.HTML(solution(task))], "exercise")


def latest(answer: Callable) -> Callable:
    """What the learner's namespace now holds under the answer's name; else the answer itself."""
    name = getattr(answer, "__name__", "")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    names = shell.user_ns if shell is not None else vars(sys.modules["__main__"])
    return names.get(name, answer)


def live_progress(tasks: Sequence[Task], where: str) -> object:
    """A list of exercises that follows every check.

    Args:
        tasks: The exercises.
        where: What they belong to, in words.

    Returns:
        An ``ipywidgets.VBox`` with the list.
    """
    import ipywidgets as widgets

    rows = widgets.HTML()

    def show() -> None:
        states = [(task, record_of(task.name)) for task in tasks]
        passed = sum(record.passed for _, record in states)
        items = "".join(
            f"<li>{html.escape(task.title).replace('`', '')}: {record.words}</li>"
            for task, record in states
        )
        rows.value = (
            f'{style("live_card.css")}<div role="status"><p class="bnkit-title">'
            f"<strong>Progress through {html.escape(where)}</strong> "
            f'<span class="bnkit-state">{passed} of {len(states)} exercises passed</span></p>'
            f"<ul>{items}</ul></div>"
        )

    listen(show)
    show()
    return _card(widgets, [rows], "progress")


def _card(widgets: object, children: Sequence[object], kind: str) -> object:
    box = widgets.VBox(children)
    for name in ("bnkit", f"bnkit-{kind}"):
        box.add_class(name)
    return box
