"""What a chapter shows of its registry: questions, exercises as cards, and the progress so far.

With a kernel a card is live (ipywidgets 7.7.1 and later); on its way to a page it is HTML that
needs none.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bnkit.book.exercise import Exercise, examine
from bnkit.book.page import Html, digest, prose, script, style, widget, widget_home
from bnkit.book.registry import EXERCISES, IN_TEXT, QUESTIONS, exercises_of
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["ask", "check_yourself", "exercise", "progress"]


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


def check_yourself(chapter: str) -> Html:
    """Ask the questions that close a chapter, one card each; they answer without a kernel.

    Args:
        chapter: the notebook's name without its ending, such as ``"02_equations"``.

    Returns:
        All cards in one output, for the last line of a cell.

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


def exercise(name: str, answer: Callable) -> object:
    """Show an exercise: what to write, a check, hints and the solution.

    With a kernel each press of Check takes the function or class that has the answer's name by
    then, counts the attempt and says what was found. In a notebook that is executed for the page
    the answer is checked once, and hints and solution are folded, so that no kernel is needed.

    Args:
        name: Of the exercise, as in the registry.
        answer: The learner's function or class, finished or a stub.

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: There is no exercise of that name.
        TypeError: The answer cannot be called.

    Example:
        >>> def to_pytorch(keras_momentum):
        ...     raise NotImplementedError
        >>> exercise("to_pytorch", to_pytorch)
        Exercise: Convert (to_pytorch), ○ not started
    """
    if name not in EXERCISES:
        raise ValueError(f"got exercise {name!r}, expected one of {', '.join(EXERCISES)}")
    shown = EXERCISES[name]
    if not callable(answer):
        raise TypeError(f"got an answer of type {type(answer).__name__}, expected {_kind(shown)}")
    record_of(name)
    if widget_home() == "live":
        return live_card(shown, answer)
    result = examine(shown, answer)
    if result.status != "not started":
        RECORDS.pop(name, None)  # baked twice, an answer is still one attempt
        keep(name, result)
    return bake_card(shown, result)


def progress(chapter: str | None = None) -> object:
    """Show how far the exercises have come; beside a kernel it follows every check.

    In the page it also counts the questions that were answered right there.

    Args:
        chapter: The notebook's name without its ending, such as ``"02_equations"``; None for all
            exercises that were shown in this session.

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: No chapter of that name has exercises.

    Example:
        >>> progress("02_equations")
        Progress through chapter 2
        Whitening: ○ not started
    """
    if chapter is None:
        exercises = [EXERCISES[name] for name in RECORDS if name in EXERCISES]
        where = "the exercises so far"
    else:
        exercises, where = exercises_of(chapter, in_book=True), f"chapter {int(chapter[:2])}"
    show = live_progress if widget_home() == "live" else bake_progress
    return show(exercises, where)


def _kind(exercise: Exercise) -> str:
    kind = "class" if isinstance(exercise.solution, type) else "function"
    return f"the {kind} {exercise.answer}"


@dataclass
class Record:
    """How far an exercise has come: attempts (a stub is none), and was the last one right?"""

    attempts: int = 0
    passed: bool = False

    @property
    def words(self) -> str:
        """Its state, with a sign and in words."""
        if not self.attempts:
            return "○ not started"
        count = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"✓ passed, {count}" if self.passed else f"… tried, {count}"


RECORDS: dict[str, Record] = {}
_LISTENERS: list[Callable[[], None]] = []


def record_of(name: str) -> Record:
    """The record of an exercise; a new one where there was none."""
    return RECORDS.setdefault(name, Record())


def keep(name: str, result: CheckResult) -> None:
    """Count a result, and tell whoever listens."""
    record = record_of(name)
    record.attempts += result.status != "not started"
    record.passed = result.passed
    for listener in list(_LISTENERS):
        listener()


def listen(listener: Callable[[], None]) -> None:
    """Call `listener` after each result, as long as its widgets live: until the kernel ends."""
    _LISTENERS.append(listener)


CHECKING = (
    "Checking needs a running notebook. Open this chapter in Colab or JupyterLab, write your "
    "answer in place of the line that raises, run the cell, and press Check."
)
KEPT = "A running notebook shows here what you have passed and what you have tried."


def bake_card(exercise: Exercise, result: CheckResult) -> Html:
    """An exercise with folded hints and solution, and what was found at execution."""
    started = result.status != "not started"
    state = record_of(exercise.name).words
    parts = [
        heading(exercise, state),
        result._repr_html_() if started else "",
        *(folded(f"Hint {i}", hint(exercise, i)) for i in range(1, len(exercise.hints) + 1)),
        solution(exercise),
        f'<p class="bnkit-note">{CHECKING}</p>',
    ]
    text = f"Exercise: {exercise.title} ({exercise.answer}), {state}"
    return _section(
        "exercise", f"Exercise: {exercise.title}", digest("exercise", parts), parts, text
    )


def _states(exercises: Sequence[Exercise]) -> list[str]:
    return [f"{exercise.title}: {record_of(exercise.name).words}" for exercise in exercises]


def _items(states: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(state).replace('`', '')}</li>" for state in states)
    return f"<ul>{items}</ul>"


def bake_progress(exercises: Sequence[Exercise], where: str) -> Html:
    """A list of exercises, and a count of the questions that the page has seen answered right."""
    states = _states(exercises)
    key = digest("progress", where, states)
    parts = [
        f'<p class="bnkit-title"><strong>Progress through {html.escape(where)}</strong></p>',
        _items(states),
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


def live_card(exercise: Exercise, answer: Callable) -> object:
    """An exercise with buttons that check what has the answer's name by then, and give hints."""
    import ipywidgets as widgets

    head, hints, found = widgets.HTMLMath(), widgets.HTMLMath(), widgets.HTML()
    check_button = widgets.Button(description="Check")
    hint_button = widgets.Button()
    shown: list[str] = []

    def show_state() -> None:
        head.value = style("live_card.css") + heading(exercise, record_of(exercise.name).words)

    def check(_button: object = None) -> None:
        check_button.description = "Checking …"
        try:
            current = latest(answer)
            result = examine(exercise, current, LIMIT)
        finally:
            check_button.description = "Check again"
        keep(exercise.name, result)
        found.value = result._repr_html_()

    def show_hint(_button: object = None) -> None:
        shown.append(f"<li>{hint(exercise, len(shown) + 1)}</li>")
        hints.value = f'<ol role="status" aria-label="Hints">{"".join(shown)}</ol>'
        name_hint_button()

    def name_hint_button() -> None:
        hint_button.disabled = len(shown) == len(exercise.hints)
        number = min(len(shown) + 1, len(exercise.hints))
        hint_button.description = f"Hint {number} of {len(exercise.hints)}"

    check_button.on_click(check)
    hint_button.on_click(show_hint)
    listen(show_state)
    show_state()
    name_hint_button()
    buttons = widgets.HBox([check_button, hint_button], layout={"flex_flow": "row wrap"})
    return _card(
        widgets, [head, buttons, found, hints, widgets.HTML(solution(exercise))], "exercise"
    )


def latest(answer: Callable) -> Callable:
    """What the learner's namespace now holds under the answer's name; else the answer itself."""
    name = getattr(answer, "__name__", "")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    names = shell.user_ns if shell is not None else vars(sys.modules["__main__"])
    return names.get(name, answer)


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
            f"{_items(_states(exercises))}</div>"
        )

    listen(show)
    show()
    return _card(widgets, [rows], "progress")


def _card(widgets: object, children: Sequence[object], kind: str) -> object:
    box = widgets.VBox(children)
    for name in ("bnkit", f"bnkit-{kind}"):
        box.add_class(name)
    return box


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


def solution(exercise: Exercise) -> str:
    """The solution, folded; its wide lines scroll, by keyboard too."""
    code = highlight(exercise.source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()
    block = (
        '<div class="highlight"><pre tabindex="0" role="region" '
        f'aria-label="Solution of {html.escape(exercise.answer)}">{code}</pre></div>'
    )
    return folded("Solution", block)
