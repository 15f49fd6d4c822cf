"""Cards of exercises: hints one at a time, attempts, the latest answer; readable with no kernel."""

from __future__ import annotations

import copy
import math
import re
import sys
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from chromium import chromium, opened, standalone
from torch import nn

from bnkit.book.cards import RECORDS, exercise, progress
from bnkit.book.quiz import choice, quiz
from bnkit.book.registry import EXERCISES, check, exercises_of

CHAPTERS = Path(__file__).parents[1] / "chapters"


@pytest.fixture(autouse=True)
def no_records(monkeypatch):
    RECORDS.clear()
    yield
    RECORDS.clear()


@pytest.fixture
def baked(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")


@pytest.fixture
def live(monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setenv("BNKIT_WIDGETS", "live")


def to_pytorch(keras_momentum):
    raise NotImplementedError


def same(keras_momentum):
    return keras_momentum


def answer_in_notebook(monkeypatch, fn, name: str = "to_pytorch"):
    """Put an answer where a notebook's cell would have put it."""
    monkeypatch.setattr(sys.modules["__main__"], name, fn, raising=False)


# The data


def test_every_exercise_has_a_task_and_every_task_a_check():
    assert set(EXERCISES) == set(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_with_the_imports_of_a_chapter_alone(name):
    names = {"copy": copy, "math": math, "torch": torch, "F": F, "nn": nn}
    exec(EXERCISES[name].source, names)
    result = check(name, names[EXERCISES[name].answer])
    assert result.passed, repr(result)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_not_started_and_has_the_signature_of_the_solution(name):
    names = {"nn": nn}
    exec(EXERCISES[name].stub, names)
    assert check(name, names[EXERCISES[name].answer]).status == "not started"
    assert EXERCISES[name].stub.startswith(EXERCISES[name].source.splitlines()[0])
    assert 2 <= len(EXERCISES[name].stub.splitlines()) <= 4


@pytest.mark.parametrize("name", EXERCISES)
def test_the_statement_names_what_to_write_and_two_or_three_hints_lead_there(name):
    task = EXERCISES[name]
    assert f"`{task.answer}(" in task.statement
    assert 2 <= len(task.hints) <= 3
    assert not [hint for hint in task.hints if hint in task.source]


def test_every_chapter_has_an_exercise_with_a_card():
    chapters = {path.stem[:2] for path in CHAPTERS.glob("[0-9]*.ipynb")}
    assert {task.chapter[:2] for task in EXERCISES.values() if task.in_book} == chapters


@pytest.mark.parametrize("chapter", ["", "99", "equations"])
def test_a_chapter_without_exercises_is_told_which_have_some(chapter):
    with pytest.raises(ValueError, match="expected one of 01_why_normalize"):
        exercises_of(chapter)


def test_what_only_assignments_hold_can_be_left_out():
    shown = [exercise.name for exercise in exercises_of("02_equations", in_book=True)]
    assert shown == ["whiten"]
    assert set(shown) < {exercise.name for exercise in exercises_of("02")}


# Baked


@pytest.mark.usefixtures("baked")
def test_two_runs_give_the_same_bytes():
    for answer in (to_pytorch, same):
        outputs = [exercise("to_pytorch", answer) for _ in range(2)]
        outputs = [output._repr_mimebundle_() for output in outputs]
        assert outputs[0] == outputs[1]
        assert set(outputs[0]) == {"text/html", "text/plain"}


@pytest.mark.usefixtures("baked")
def test_a_stub_is_shown_as_not_started_and_not_as_an_error():
    card = exercise("to_pytorch", to_pytorch)
    assert "○ not started" in card.source
    assert "bnkit-check" not in card.source.split("</style>")[1]
    assert "NotImplementedError" not in card.source
    assert repr(card) == "Exercise: Convert (to_pytorch), ○ not started"


@pytest.mark.usefixtures("baked")
def test_a_wrong_answer_is_shown_with_its_mistake():
    card = exercise("to_pytorch", same)
    assert "momentum left as it is" in card.source
    assert repr(card) == "Exercise: Convert (to_pytorch), … tried, 1 attempt"


@pytest.mark.usefixtures("baked")
def test_hints_and_solution_are_folded_one_by_one():
    source = exercise("whiten", EXERCISES["whiten"].solution).source
    summaries = re.findall(r"<details><summary[^>]*>(.*?)</summary>", source)
    assert summaries == ["Hint 1", "Hint 2", "Hint 3", "Solution"]
    assert "linalg" in source.split("Solution</summary>")[1]
    assert "running notebook" in source


def committed() -> dict[str, str]:
    """The output of each card, by the exercise's name, over all chapters."""
    cards = {}
    for path in CHAPTERS.glob("[0-9]*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if found := re.fullmatch(r'exercise\("(\w+)", \w+\)', cell.source):
                cards[found[1]] = cell.outputs[0].data["text/html"]
    return cards


@pytest.mark.usefixtures("baked")
def test_a_committed_page_shows_each_exercise_as_it_is_now():
    cards = committed()
    assert set(cards) == {task.name for task in EXERCISES.values() if task.in_book}
    for name, shown in cards.items():
        names = {"nn": nn}
        exec(EXERCISES[name].stub, names)
        assert exercise(name, names[EXERCISES[name].answer]).source == shown, name


def test_an_unknown_exercise_is_told_which_there_are():
    with pytest.raises(ValueError, match="got exercise 'forwards', expected one of"):
        exercise("forwards", same)


def test_an_answer_that_cannot_be_called_is_told_what_is_expected():
    with pytest.raises(TypeError, match="type int, expected the function to_pytorch"):
        exercise("to_pytorch", 3)


@pytest.mark.usefixtures("baked")
def test_progress_lists_the_exercises_of_the_chapter():
    exercise("to_pytorch", lambda keras_momentum: 1 - keras_momentum)
    shown = progress("03_two_modes")
    assert repr(shown).splitlines() == [
        "Progress through chapter 3",
        "Convert: ✓ passed, 1 attempt",
        "Remove the start: ○ not started",
        "Freeze: ○ not started",
    ]
    assert shown.source == progress("03_two_modes").source
    assert repr(progress()).splitlines()[1:2] == ["Convert: ✓ passed, 1 attempt"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page_file(baked, tmp_path):
    choices = [choice("yes", "Indeed.", correct=True), choice("no", "Look again.")]
    quizzes = [quiz(text, choices) for text in ("First?", "Second?")]
    card = exercise("layer_2d", EXERCISES["layer_2d"].solution)
    file = tmp_path / "page.html"
    standalone(file, *quizzes, card, progress("05_manual_implementation"))
    return file


def test_the_page_counts_the_questions_that_were_answered_right(browser, page_file):
    with opened(browser, page_file) as page:
        count = page.locator(".bnkit-count")
        words = "Questions of this page answered right: {} of 2"
        assert count.inner_text() == words.format(0)
        for place, (name, right) in enumerate([("no", 0), ("yes", 1), ("no", 1)]):
            page.get_by_role("radio", name=name).first.check()
            page.get_by_role("button", name="Check").first.click()
            assert count.inner_text() == words.format(right), place
        page.get_by_role("radio", name="yes").nth(1).focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Check").nth(1).focus()
        page.keyboard.press("Enter")
        assert count.inner_text() == words.format(2)


def test_hints_open_by_keyboard_and_the_solution_does_not_widen_a_phone(browser, page_file):
    with opened(browser, page_file, viewport={"width": 390, "height": 800}) as page:
        card = page.locator(".bnkit-exercise")
        hint = card.get_by_text("Hint 1", exact=True)
        hint.focus()
        page.keyboard.press("Enter")
        assert card.get_by_text("BatchNorm1d takes rows").is_visible()
        assert not card.get_by_text("brings the channels to the end").is_visible()
        card.get_by_text("Solution", exact=True).click()
        assert card.get_by_role("region", name="Solution of BatchNorm2dAsRows").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_javascript_everything_can_be_read(browser, page_file):
    context = {"java_script_enabled": False}
    with opened(browser, page_file, **context) as page:
        page.get_by_text("Hint 2", exact=True).click()
        assert page.get_by_text("brings the channels to the end").is_visible()
        assert not page.locator(".bnkit-count").is_visible()


# Live


def parts(card):
    """Heading, check button, hint button, result, hints, solution."""
    head, buttons, found, hints, solution = card.children
    return head, *buttons.children, found, hints, solution


@pytest.mark.usefixtures("live")
def test_check_takes_what_has_the_name_by_then(monkeypatch):
    head, button, _, found, _, _ = parts(exercise("to_pytorch", to_pytorch))
    assert found.value == ""
    button.click()
    assert "Not started" in found.value
    assert "○ not started" in head.value  # a stub is no attempt
    answer_in_notebook(monkeypatch, same)
    button.click()
    assert "momentum left as it is" in found.value
    assert "… tried, 1 attempt" in head.value
    answer_in_notebook(monkeypatch, lambda keras_momentum: 1 - keras_momentum)
    button.click()
    assert "Passed" in found.value
    assert "✓ passed, 2 attempts" in head.value


@pytest.mark.usefixtures("live")
def test_a_name_that_the_notebook_lacks_means_the_answer_given():
    _, button, _, found, _, _ = parts(exercise("to_pytorch", lambda momentum: 1 - momentum))
    button.click()
    assert "Passed" in found.value


@pytest.mark.usefixtures("live")
def test_hints_come_one_at_a_time():
    _, _, button, _, hints, _ = parts(exercise("whiten", EXERCISES["whiten"].solution))
    assert hints.value == ""
    for number in (1, 2, 3):
        assert button.description == f"Hint {number} of 3"
        assert not button.disabled
        button.click()
        assert hints.value.count("<li>") == number
    assert button.disabled


@pytest.mark.usefixtures("live")
def test_an_answer_that_raises_says_so_in_the_card(monkeypatch):
    def broken(keras_momentum):
        return 1 / (keras_momentum - keras_momentum)

    answer_in_notebook(monkeypatch, broken)
    head, button, _, found, _, _ = parts(exercise("to_pytorch", to_pytorch))
    button.click()
    assert "ZeroDivisionError" in found.value
    assert "return 1 / (keras_momentum - keras_momentum)" in found.value
    assert "1 attempt" in head.value
    assert button.description == "Check again"


@pytest.mark.usefixtures("live")
def test_an_answer_that_hangs_is_stopped_and_the_card_goes_on(monkeypatch):
    def endless(keras_momentum):
        while True:
            pass

    monkeypatch.setattr("bnkit.book.live_card.LIMIT", 0.2)
    _, button, _, found, _, _ = parts(exercise("to_pytorch", endless))
    button.click()
    assert "Stopped" in found.value
    assert button.description == "Check again"


@pytest.mark.usefixtures("live")
def test_the_solution_is_there_and_folded():
    *_, solution = parts(exercise("whiten", EXERCISES["whiten"].solution))
    assert solution.value.startswith("<details><summary")


@pytest.mark.usefixtures("live")
def test_progress_follows_every_check():
    (rows,) = progress("03_two_modes").children
    assert "0 of 3 exercises passed" in rows.value
    card = exercise("to_pytorch", lambda momentum: 1 - momentum)
    assert "Convert: ○ not started" in rows.value
    parts(card)[1].click()
    assert "Convert: ✓ passed, 1 attempt" in rows.value
    assert "1 of 3 exercises passed" in rows.value


@pytest.mark.usefixtures("live")
def test_a_card_that_is_shown_again_keeps_its_attempts():
    parts(exercise("to_pytorch", same))[1].click()
    assert "… tried, 1 attempt" in parts(exercise("to_pytorch", same))[0].value


@pytest.mark.usefixtures("live")
def test_two_cards_of_one_exercise_agree():
    first, second = (exercise("to_pytorch", same) for _ in range(2))
    parts(first)[1].click()
    assert "1 attempt" in parts(first)[0].value
    assert "1 attempt" in parts(second)[0].value
