"""A card and a progress list beside a kernel, of ipywidgets (7.7.1 and later).

What a card shows lives in the record of its exercise: a card that is shown again shows it again,
and two cards of one exercise agree.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import replace

from bnkit.book.card_parts import folded, heading, hint, items_of, solution
from bnkit.book.exercise import Exercise, examine
from bnkit.book.fresh import latest, same_code, unseen
from bnkit.book.page import in_jupyterlab, prose, style
from bnkit.book.prints import printed
from bnkit.book.records import Record, keep, listen, record_of, tell
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["live_card", "live_progress"]

SAME = "Same code as last time: did you run your cell? This check does not count."
SAME_PASSED = "Same code as last time."
BECAUSE = "{why} This is the same code as last time, and the check does not count."
EARLIER = "This is what your last check found. Your code has changed since: check again."
UNWRITTEN = "Written it already? Then run its cell first."
NO_CODE = "`{name}` is now {what}. Run the cell that defines it, then check again."


def live_card(exercise: Exercise, answer: Callable) -> object:
    """An exercise with buttons that check what has the answer's name by then, and give hints."""
    import ipywidgets as widgets

    head, hints, answers = widgets.HTMLMath(), widgets.HTMLMath(), widgets.HTML()
    found = widgets.Output() if in_jupyterlab() else widgets.HTML()
    check_button, hint_button = widgets.Button(description="Check"), widgets.Button()
    record = record_of(exercise.name)

    def show() -> None:
        head.value = style("live_card.css") + heading(exercise, record.words)
        put(found, verdict(record))
        hints.value = hints_of(exercise, record)
        if answers.value != (shown := solution(exercise, record.passed)):
            answers.value = shown
        hint_button.description = f"Hint {_next(exercise, record)} of {len(exercise.hints)}"
        hint_button.disabled = record.hints == len(exercise.hints)
        hint_button.layout.display = "none" if record.passed else ""
        check_button.description = "Check again" if record.note or record.result else "Check"

    def check(_button: object = None) -> None:
        check_button.description = "Checking …"
        try:
            check_now(exercise, latest(answer))
        finally:
            check_button.description = "Check again"

    def show_hint(_button: object = None) -> None:
        record.hints += 1
        tell()

    check_button.on_click(check)
    hint_button.on_click(show_hint)
    note_changes(record, latest(answer))
    listen(show)
    show()
    buttons = widgets.HBox([check_button, hint_button], layout={"flex_flow": "row wrap"})
    return _card(widgets, [head, buttons, found, hints, answers], "exercise")


def check_now(exercise: Exercise, answer: object) -> None:
    """Check an answer, and keep what was found; code that was checked before does not count."""
    record = record_of(exercise.name)
    if not callable(answer):
        kind = type(answer).__name__
        record.note = NO_CODE.format(name=exercise.answer, what=f"of type {kind}, and no code")
        tell()
        return
    with printed() as file:
        result = examine(exercise, answer, LIMIT)
    same = record.result is not None and same_code(answer, record.answer)
    same = same and _words(result) == _words(record.result)  # a helper of it may have changed
    record.note = _note(exercise, answer, result, same)
    record.answer, record.printed = answer, file.text
    keep(exercise.name, result, counts=not same)


def _words(result: CheckResult) -> str:
    """The verdict but for what differs from run to run, such as that it was slow."""
    return repr(replace(result, notes=()))


def _note(exercise: Exercise, answer: Callable, result: CheckResult, same: bool) -> str:
    """What to say above a verdict about the code that it is on."""
    name = getattr(answer, "__name__", exercise.answer)
    why = unseen(name, answer)
    if same:
        words = SAME_PASSED if result.passed else SAME
        return BECAUSE.format(why=why) if why else words
    return why or (UNWRITTEN if result.status == "not started" else "")


def note_changes(record: Record, answer: object) -> None:
    """Say at a card that is shown again whether its verdict is on the code of now."""
    if record.result is not None:
        record.note = "" if same_code(answer, record.answer) else EARLIER


def verdict(record: Record) -> str:
    """HTML of what the last check found, what to know about it, and what the code printed."""
    parts = [f'<p class="bnkit-note" role="status">{prose(record.note)}</p>'] if record.note else []
    if record.result is not None:
        parts.append(record.result._repr_html_())
    parts += [_prints(record.printed)] if record.printed else []
    return "".join(parts)


def _prints(text: str) -> str:
    label = 'tabindex="0" role="region" aria-label="What your code printed"'
    block = f"<pre {label}>{html.escape(text)}</pre>"
    title = "<p>Your code printed, over all inputs tried</p>"
    return f'<div class="bnkit-printed">{title}{block}</div>'


def put(found: object, source: str) -> None:
    """Show HTML; in JupyterLab as an output, since there alone a link opens beside the notebook."""
    if not hasattr(found, "outputs"):
        found.value = source
        return
    data = {"text/html": f'<div class="bnkit-found">{source}</div>'}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    found.outputs = (output,) if source else ()


def hints_of(exercise: Exercise, record: Record) -> str:
    """HTML of the hints that were asked for; folded after a pass."""
    if not record.hints:
        return ""
    items = "".join(f"<li>{hint(exercise, i + 1)}</li>" for i in range(record.hints))
    shown = f'<ol role="status" aria-label="Hints">{items}</ol>'
    return folded("Hints that you asked for", f"<ol>{items}</ol>") if record.passed else shown


def _next(exercise: Exercise, record: Record) -> int:
    return min(record.hints + 1, len(exercise.hints))


def live_progress(exercises: Sequence[Exercise], where: str) -> object:
    """A list of exercises that follows every check."""
    import ipywidgets as widgets

    rows = widgets.HTML()

    def show() -> None:
        passed = sum(record_of(exercise.name).passed for exercise in exercises)
        rows.value = (
            f'{style("live_card.css")}<div role="status"><p class="bnkit-title">'
            f"<strong>Progress through {html.escape(where)}</strong> "
            f'<span class="bnkit-state">{passed} of {len(exercises)} exercises passed</span></p>'
            f"{items_of(exercises)}</div>"
        )

    listen(show)
    show()
    return _card(widgets, [rows], "progress")


def _card(widgets: object, children: Sequence[object], kind: str) -> object:
    box = widgets.VBox(children)
    for name in ("bnkit", f"bnkit-{kind}"):
        box.add_class(name)
    return box
