"""Quizzes and predictions: every answer gets its feedback, by keyboard, with no kernel."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import pytest
from chromium import chromium, opened, standalone

from bnkit.book.quiz import choice, predict, quiz

CHOICES = [
    choice(r"\( \frac{1}{N} \sum (x - \mu)^2 \)", "Yes: the `biased` one.", correct=True),
    choice("divided by N < 2", "That scales <by> 0.707."),
    choice("the running one", "Only in `eval()`."),
]
FEEDBACK = {"right": "Biased.", "wrong": "Average the squares.", 2.0: "Unbiased."}


def one():
    return quiz("Which variance?", CHOICES)


def several():
    right = [choice(name, f"{name} is a buffer.", correct=True) for name in ("mean", "var")]
    return quiz("Which are buffers?", [*right, choice("weight", "A parameter.")])


def number():
    return quiz("Variance of 1 and 3?", answer=1.0, tolerance=0.01, feedback=FEEDBACK)


def prediction():
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    return predict("Up or down?", [*CHOICES[:2]], figure, alt="It goes up.")


def html(output) -> str:
    return output._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("make", [one, several, number, prediction])
def test_two_runs_give_the_same_bytes(make):
    assert html(make()) == html(make())


def test_different_quizzes_have_different_names():
    named = [re.search(r'data-bnkit="(\w+)"', html(make()))[1] for make in (one, several, number)]
    assert len(set(named)) == 3


def test_texts_are_escaped_and_code_and_maths_marked():
    text = html(one())
    assert "divided by N &lt; 2" in text
    assert "<code>biased</code>" in text
    assert r'mathjax_process">\( \frac{1}{N} \sum (x - \mu)^2 \)</span>' in text


def test_the_plain_text_is_the_question():
    assert repr(one()) == "Quiz: Which variance?"
    assert repr(prediction()) == "Predict: Up or down? [figure: It goes up.]"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: quiz("?"), "expected either choices or a numeric answer"),
        (lambda: quiz("?", CHOICES, answer=1), "expected either choices or a numeric answer"),
        (lambda: quiz("?", CHOICES[:1]), "got 1 choices, expected at least 2"),
        (lambda: quiz("?", CHOICES[1:]), "expected at least one that is correct"),
        (lambda: quiz("?", [*CHOICES, choice("a", "")]), "choice 'a' got no feedback"),
        (lambda: quiz("?", answer=1), "expected 'right' and 'wrong'"),
        (
            lambda: quiz("?", answer=1, feedback={**FEEDBACK, 1.001: "close"}),
            "mistake 1.001 lies within 0.01 of the answer 1",
        ),
        (lambda: predict("?", CHOICES, plt.figure, alt=""), "got no alt"),
    ],
)
def test_an_incomplete_quiz_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_reveal_that_gives_no_figure_is_told_so():
    with pytest.raises(TypeError, match="reveal gave int, expected a matplotlib Figure"):
        predict("?", CHOICES, lambda: 3, alt="three")


def test_the_revealed_figure_is_closed():
    before = plt.get_fignums()
    prediction()
    assert plt.get_fignums() == before


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "page.html"
    standalone(file, one(), one(), several(), number(), prediction())
    return file


def said(page, place: int) -> str:
    return page.get_by_role("status").nth(place).inner_text()


def test_one_right_answer_is_told_by_words_for_every_choice(browser, path):
    told = ["✓ Right.\n\nYes: the biased one.", "✗ Not quite.\n\nThat scales <by> 0.707."]
    told.append("✗ Not quite.\n\nOnly in eval().")
    with opened(browser, path) as page:
        group = page.get_by_role("group", name="Which variance?").first
        for radio, words in zip(group.get_by_role("radio").all(), told, strict=True):
            radio.check()
            page.get_by_role("button", name="Check").first.click()
            assert said(page, 0) == words


def test_a_quiz_is_answered_by_keyboard_alone(browser, path):
    with opened(browser, path) as page:
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert said(page, 0).startswith("✗ Not quite.")


def test_the_same_quiz_twice_on_a_page_keeps_its_answers_apart(browser, path):
    with opened(browser, path) as page:
        first, second = (page.get_by_role("group", name="Which variance?").nth(i) for i in (0, 1))
        first.get_by_role("radio").nth(0).check()
        second.get_by_role("radio").nth(1).check()
        assert first.get_by_role("radio").nth(0).is_checked()
        page.get_by_role("button", name="Check").nth(1).click()
        assert (said(page, 0), said(page, 1)[0]) == ("", "✗")


def test_several_right_answers_are_counted(browser, path):
    with opened(browser, path) as page:
        boxes = page.get_by_role("group", name="Which are buffers?").get_by_role("checkbox")
        check = page.get_by_role("button", name="Check").nth(2)
        check.click()
        assert said(page, 2) == "✗ Choose an answer first."
        boxes.nth(0).check()
        boxes.nth(2).check()
        check.click()
        assert said(page, 2).startswith("✗ Not yet: 1 wrong, 1 missing.")
        assert "weight: A parameter." in said(page, 2)
        boxes.nth(1).check()
        boxes.nth(2).uncheck()
        check.click()
        assert said(page, 2).startswith("✓ Right.")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("1", "✓ Right.\n\nBiased."),
        ("1,01", "✓ Right.\n\nBiased."),
        ("3/3", "✓ Right.\n\nBiased."),
        ("2", "✗ Not quite.\n\nUnbiased."),
        ("−1", "✗ Not quite.\n\nAverage the squares."),
        ("one", "✗ Type a number, such as 0.5 or 1/2."),
        ("", "✗ Type a number, such as 0.5 or 1/2."),
    ],
)
def test_a_number_is_right_within_tolerance_and_known_mistakes_are_named(
    browser, path, typed, told
):
    with opened(browser, path) as page:
        page.get_by_label("Your answer").fill(typed)
        page.get_by_label("Your answer").press("Enter")
        assert said(page, 3) == told


def test_a_prediction_shows_the_figure_only_after_the_guess_which_then_stands(browser, path):
    with opened(browser, path) as page:
        figure = page.get_by_alt_text("It goes up.")
        reveal = page.get_by_role("button", name="Commit and reveal")
        reveal.click()
        assert not figure.is_visible()
        group = page.get_by_role("group", name="Up or down?")
        group.get_by_role("radio").nth(1).check()
        assert not figure.is_visible()
        reveal.click()
        assert figure.is_visible()
        assert said(page, 4).startswith("✗ Not as you guessed.")
        assert group.get_by_role("radio").nth(0).is_disabled()


def test_without_javascript_answers_and_figure_can_be_read(browser, path):
    with opened(browser, path, java_script_enabled=False) as page:
        assert page.get_by_alt_text("It goes up.").is_visible()
        assert page.get_by_role("button").count() == 0
        page.get_by_text("Answers and reasons").first.click()
        assert page.get_by_text("✗ wrong: That scales <by> 0.707.").first.is_visible()


def test_print_shows_the_question_and_the_figure_but_no_answers(browser, path):
    with opened(browser, path) as page:
        page.emulate_media(media="print")
        assert page.get_by_alt_text("It goes up.").is_visible()
        assert page.get_by_text("Which variance?").first.is_visible()
        assert page.get_by_text("Answers and reasons").filter(visible=True).count() == 0


def test_a_phone_shows_it_whole_with_targets_to_touch(browser, path):
    with opened(browser, path, viewport={"width": 390, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for target in page.locator(".bnkit-choice, .bnkit button, .bnkit-number input").all():
            assert target.bounding_box()["height"] >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with opened(browser, path) as page:
        grounds = {
            "light": "background:#fff;color:#222",
            "dark": "background:#14181e;color:#ced6dd",
        }
        page.evaluate("s => document.body.setAttribute('style', s)", grounds[scheme])
        page.locator("[role=radio], input[type=radio]").first.check()
        page.get_by_role("button", name="Check").first.click()
        options = {"rules": {r: {"enabled": False} for r in ("region", "landmark-one-main")}}
        options["rules"]["page-has-heading-one"] = {"enabled": False}  # a bare page has none
        found = axe.Axe().run(page, options={**options, "preload": False})
        assert [violation["id"] for violation in found.response["violations"]] == []


def test_a_choice_that_is_all_mathematics_has_a_name(browser, tmp_path):
    choices = [choice(r"\( (1, -2, 1) \)", "It sums to 0.", correct=True)]
    choices += [choice(r"\(\gamma < 1\) always", "Not so."), choice(r'\( "a" \)', "No.")]
    standalone(tmp_path / "maths.html", quiz("Which vector?", choices))
    with opened(browser, tmp_path / "maths.html") as page:
        names = [radio.get_attribute("aria-label") for radio in page.get_by_role("radio").all()]
        assert names == ["(1, -2, 1)", None, '"a"']
