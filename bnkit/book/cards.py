"""What a chapter shows of its registry: questions, exercises as cards, and the progress so far.

With a kernel a card is live (ipywidgets 7.7.1 and later); on its way to a page it is HTML that
needs none.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from bnkit.book.card_parts import folded, heading, hint, items_of, solution, states
from bnkit.book.exercise import Exercise, examine
from bnkit.book.live_card import live_card, live_progress
from bnkit.book.page import Html, digest, script, widget, widget_home
from bnkit.book.records import RECORDS, keep, record_of
from bnkit.book.registry import EXERCISES, IN_TEXT, QUESTIONS, exercises_of
from bnkit.book.result import CheckResult

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
    then, and says what was found. It counts as an attempt, unless the code is the same as last
    time: then the card asks whether its cell was run. In a notebook that is executed for the page
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


def bake_progress(exercises: Sequence[Exercise], where: str) -> Html:
    """A list of exercises, and a count of the questions that the page has seen answered right."""
    state_list = states(exercises)
    key = digest("progress", where, state_list)
    parts = [
        f'<p class="bnkit-title"><strong>Progress through {html.escape(where)}</strong></p>',
        items_of(exercises),
        '<p class="bnkit-count" role="status" hidden></p>',
        f'<p class="bnkit-note">{KEPT}</p>',
        script("progress.js", key, {}),
    ]
    text = "\n".join([f"Progress through {where}", *state_list])
    return _section("progress", f"Progress through {where}", key, parts, text)


def _section(kind: str, label: str, key: str, parts: Sequence[str], text: str) -> Html:
    label = html.escape(label.replace("`", ""), quote=True)
    inner = f'<div role="group" aria-label="{label}">\n' + "\n".join(filter(None, parts)) + "</div>"
    return widget("div", kind, key, [inner], text)
