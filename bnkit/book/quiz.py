r"""Questions that answer back, with no kernel: choices, numbers and predictions.

All texts may hold ``\( maths \)`` (write raw strings), and code between single backticks.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from bnkit.book.page import Html, digest, picture, png, prose, script, widget

__all__ = ["Choice", "Question", "choice", "predict", "quiz"]


@dataclass(frozen=True)
class Choice:
    """One answer to choose from, what to say to whoever chooses it, and whether it is right."""

    text: str
    feedback: str
    correct: bool = False


def choice(text: str, feedback: str, correct: bool = False) -> Choice:
    """An answer to choose from.

    Args:
        text: the answer.
        feedback: why it is right, or which mistake leads to it.
        correct: whether it is right.

    Returns:
        The choice, for :func:`quiz` and :func:`predict`.

    Example:
        >>> choice("the mean", "Yes: over the batch.", correct=True).correct
        True
    """
    return Choice(text, feedback, correct)


def quiz(
    question: str,
    choices: Sequence[Choice] | None = None,
    *,
    answer: float | None = None,
    tolerance: float | None = None,
    feedback: Mapping[str | float, str] | None = None,
) -> Html:
    r"""Ask a question with choices (one or several right) or with a number.

    Args:
        question: the question.
        choices: at least two; several correct ones make it "choose all that apply".
        answer: the right number, instead of choices.
        tolerance: largest accepted distance from ``answer``; a hundredth of it by default.
        feedback: for a number, texts for ``"right"``, ``"wrong"``, and optionally for each value
            that a known mistake leads to.

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: not exactly one of ``choices`` and ``answer``, fewer than two choices, none
            correct, feedback missing, or a mistake's value within tolerance of the answer.

    Example:
        >>> quiz(r"Variance of \( (1, 3) \), as batch normalization divides by it?", answer=1.0,
        ...      feedback={"right": "Biased: divided by 2.", "wrong": "Average the squares.",
        ...                2.0: "That is the unbiased variance."})
        Quiz: Variance of \( (1, 3) \), as batch normalization divides by it?
    """
    if (choices is None) == (answer is None):
        raise ValueError("expected either choices or a numeric answer")
    if choices is None:
        return _number_quiz(question, float(answer), tolerance, feedback or {})
    _check_choices(choices)
    correct = [i for i, option in enumerate(choices) if option.correct]
    data = {"correct": correct, "several": len(correct) > 1}
    key = digest("quiz", question, choices)
    hint = " <em>(choose all that apply)</em>" if data["several"] else ""
    fields = _options(question, hint, choices, key, "checkbox" if data["several"] else "radio")
    return _output(key, question, fields, "Check", _reasons(choices), data)


def predict(
    prompt: str,
    options: Sequence[Choice],
    reveal: Figure | Callable[[], Figure],
    *,
    alt: str,
) -> Html:
    """Have the reader commit to a guess, then show the figure that settles it.

    Args:
        prompt: what to guess.
        options: at least two choices, of which at least one is correct.
        reveal: the figure, or a function without arguments that draws it.
        alt: what the figure shows, for those who cannot see it.

    Returns:
        What the last line of a cell shows; printed, or without JavaScript, the figure is visible.

    Raises:
        ValueError: fewer than two options, none correct, or no ``alt``.
        TypeError: ``reveal`` gives no figure.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> options = [choice("up", "It does.", correct=True), choice("down", "Look again.")]
        >>> predict("Where does it go?", options, plt.figure(figsize=(2, 1)), alt="It goes up.")
        Predict: Where does it go? [figure: It goes up.]
    """
    _check_choices(options)
    if not alt:
        raise ValueError("got no alt, expected words that say what the figure shows")
    figure = reveal if isinstance(reveal, Figure) else reveal()
    if not isinstance(figure, Figure):
        raise TypeError(f"reveal gave {type(figure).__name__}, expected a matplotlib Figure")
    shown = picture(png(figure), alt)
    correct = [i for i, option in enumerate(options) if option.correct]
    data = {"correct": correct, "several": False, "predict": True}
    key = digest("predict", prompt, options, shown)
    fields = _options(prompt, "", options, key, "radio")
    after = f'<div class="bnkit-reveal">{shown}</div>'
    output = _output(key, prompt, fields, "Commit and reveal", _reasons(options), data, after)
    output.text = f"Predict: {prompt} [figure: {alt}]"
    return output


def _check_choices(choices: Sequence[Choice]) -> None:
    if len(choices) < 2:
        raise ValueError(f"got {len(choices)} choices, expected at least 2")
    if not any(option.correct for option in choices):
        raise ValueError(f"got {len(choices)} choices, expected at least one that is correct")
    for option in choices:
        if not option.feedback:
            raise ValueError(f"choice {option.text!r} got no feedback, expected why it is so")


def _number_quiz(
    question: str, answer: float, tolerance: float | None, feedback: Mapping[str | float, str]
) -> Html:
    if "right" not in feedback or "wrong" not in feedback:
        raise ValueError(f"feedback got keys {list(feedback)}, expected 'right' and 'wrong'")
    tolerance = max(abs(answer) / 100, 1e-9) if tolerance is None else tolerance
    cases = [float(value) for value in feedback if value not in ("right", "wrong")]
    for value in cases:
        if abs(value - answer) <= tolerance:
            raise ValueError(
                f"mistake {value:g} lies within {tolerance:g} of the answer {answer:g}"
            )
    data = {"answer": answer, "tolerance": tolerance, "cases": cases}
    named = {f"{value:g}": text for value, text in feedback.items() if value in cases}
    reasons = [
        (f"{answer:g}", True, feedback["right"]),
        ("Anything else", False, feedback["wrong"]),
    ]
    reasons += [(value, False, text) for value, text in named.items()]
    fields = (
        f"<fieldset><legend>{prose(question)}</legend>"
        '<label class="bnkit-number"><span>Your answer</span>'
        '<input type="text" inputmode="decimal" autocomplete="off"></label></fieldset>'
    )
    key = digest("number", question, answer, tolerance, list(feedback.items()))
    return _output(key, question, fields, "Check", reasons, data)


def _options(question: str, hint: str, options: Sequence[Choice], key: str, kind: str) -> str:
    rows = "".join(
        f'<label class="bnkit-choice"><input type="{kind}" name="bnkit-{key}" value="{i}" '
        f'autocomplete="off"{_spoken(option.text)}>{prose(option.text)}</label>'
        for i, option in enumerate(options)
    )
    return f"<fieldset><legend>{prose(question)}{hint}</legend>{rows}</fieldset>"


def _spoken(text: str) -> str:
    """A name for a choice that is all mathematics, which not every reader takes for a label."""
    if re.search(r"\w", re.sub(r"\\\(.*?\\\)", "", text)):
        return ""
    name = re.sub(r"\\[()]", "", text).strip()
    return f' aria-label="{html.escape(name)}"'


def _reasons(choices: Sequence[Choice]) -> list[tuple[str, bool, str]]:
    return [(option.text, option.correct, option.feedback) for option in choices]


def _output(
    key: str,
    question: str,
    fields: str,
    action: str,
    reasons: Sequence[tuple[str, bool, str]],
    data: dict,
    after: str = "",
) -> Html:
    rows = "".join(
        f"<li>{prose(text)} <strong>{'✓ right' if right else '✗ wrong'}:</strong> "
        f'<span class="bnkit-why">{prose(why)}</span></li>'
        for text, right, why in reasons
    )
    parts = [
        f'<form method="dialog">{fields}<button type="button" hidden>{html.escape(action)}</button>'
        '<div class="bnkit-say" role="status" aria-live="polite"></div></form>',
        after,
        f"<details><summary>Answers and reasons</summary><ul>{rows}</ul></details>",
        script("quiz.js", key, data),
    ]
    return widget("div", "quiz", key, parts, f"Quiz: {question}")


@dataclass(frozen=True)
class Question:
    r"""A question with its choices, or with a number for an answer.

    Args:
        text: the question; may hold ``\( maths \)`` and code between single backticks.
        choices: from :func:`choice`; each wrong one is a mistake that people make.
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
