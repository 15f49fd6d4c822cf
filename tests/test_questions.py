"""The questions that close the chapters: enough of them, each wrong answer told what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml
from chromium import chromium, opened, standalone

from bnkit.book.cards import check_yourself
from bnkit.book.page import prose
from bnkit.book.registry import QUESTIONS

ROOT = Path(__file__).parents[1]
ALL = [
    pytest.param(question, id=f"{chapter}-{number}")
    for chapter, questions in QUESTIONS.items()
    for number, question in enumerate(questions, start=1)
]
questions = pytest.mark.parametrize("question", ALL)


def parts() -> dict[str, list[str]]:
    """The numbered chapters of each part of the book."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    numbered = [part for part in contents["parts"] if part.get("numbered")]
    return {
        part["caption"]: [Path(page["file"]).name for page in part["chapters"]] for part in numbered
    }


def texts(question) -> list[str]:
    return [
        question.text,
        *(text for option in question.choices or [] for text in (option.text, option.feedback)),
        *question.feedback.values(),
    ]


def source(question) -> str:
    return question.card()._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("part", parts())
def test_each_part_asks_8_to_12_questions_and_each_chapter_at_least_2(part):
    counts = {chapter: len(QUESTIONS.get(chapter, [])) for chapter in parts()[part]}
    assert not {chapter: count for chapter, count in counts.items() if count < 2}
    assert 8 <= sum(counts.values()) <= 12


@questions
def test_it_offers_three_choices_or_names_two_mistakes_in_a_number(question):
    if question.choices:
        assert len(question.choices) >= 3
        assert 1 <= sum(option.correct for option in question.choices) < len(question.choices)
    else:
        assert len([key for key in question.feedback if key not in ("right", "wrong")]) >= 2


@questions
def test_each_answer_gets_words_of_its_own_that_do_not_repeat_the_verdict(question):
    said = [option.feedback for option in question.choices or []] + [*question.feedback.values()]
    assert len(set(said)) == len(said)
    verdict = re.compile(r"(yes|no|right|wrong|correct|incorrect|exactly|indeed)\b[.:!]", re.I)
    assert not [text for text in said if len(text) < 25 or verdict.match(text)]


@questions
def test_the_right_choice_does_not_stand_out_by_its_length(question):
    if question.choices:
        lengths = {option.correct: [] for option in question.choices}
        for option in question.choices:
            lengths[option.correct].append(len(option.text))
        assert max(lengths[True]) <= 2 * max(lengths[False])


def test_the_right_choice_has_no_favorite_place():
    places = [
        [option.correct for option in question.choices].index(True)
        for question in (param.values[0] for param in ALL)
        if question.choices
    ]
    shares = [places.count(place) / len(places) for place in set(places)]
    assert len(shares) >= 3
    assert max(shares) <= 0.5


@questions
def test_its_maths_and_code_are_closed_and_nothing_is_left_raw(question):
    for text in texts(question):
        assert text.count(r"\(") == text.count(r"\)")
        assert text.count("`") % 2 == 0
        plain = re.sub(r"\\\(.*?\\\)|`[^`]*`", "", text)
        assert not re.search(r"[$\\_^{}]|\*\*", plain), plain
    assert source(question).count('mathjax_process">') >= len(texts(question)) - 1


@questions
def test_two_runs_give_the_same_bytes(question):
    assert source(question) == source(question)


def test_no_question_is_asked_twice():
    asked = [param.values[0].text for param in ALL]
    assert len(set(asked)) == len(asked)


def test_one_output_holds_a_chapters_cards_and_its_text_the_questions():
    output = check_yourself("02_equations")
    cards = re.findall(r'data-bnkit="(\w+)"', output.source.split("<script>")[0])
    assert len(cards) == 1
    assert output.source.count('class="bnkit bnkit-quiz"') == len(QUESTIONS["02_equations"])
    assert all(question.text in repr(output) for question in QUESTIONS["02_equations"])


@pytest.mark.parametrize("chapter", [name for names in parts().values() for name in names])
def test_a_chapter_closes_with_its_questions_as_they_stand_in_the_package(chapter):
    notebook = nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if "check_yourself(" in cell.source]
    assert len(cells) == 1, "put check_yourself between the key points and the exercises"
    (output,) = cells[0].outputs
    assert output.data["text/plain"] == repr(check_yourself(chapter))
    reasons = [text for question in QUESTIONS[chapter] for text in texts(question)]
    assert not [text for text in reasons if prose(text) not in output.data["text/html"]]


def test_an_unknown_chapter_is_told_the_known_ones():
    with pytest.raises(ValueError, match=r"got chapter '99_none', expected one of 01_why_norm"):
        check_yourself("99_none")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("questions") / "page.html"
    standalone(file, *(check_yourself(chapter) for chapter in QUESTIONS))
    return file


def test_every_card_answers_by_keyboard_and_tells_right_from_wrong_in_words(browser, path):
    with opened(browser, path) as page:
        for card in page.locator(".bnkit-quiz").all():
            first = card.locator("input").first
            first.focus()
            if first.get_attribute("type") == "text":
                page.keyboard.type("123456")
            else:
                page.keyboard.press("Space")
            card.get_by_role("button", name="Check").focus()
            page.keyboard.press("Enter")
            verdict, reason = card.get_by_role("status").inner_text().split("\n\n", 1)
            assert re.match(r"[✓✗] (Right|Not quite|Not yet)", verdict)
            assert len(reason) >= 25


def test_a_phone_shows_every_card_whole(browser, path):
    with opened(browser, path, viewport={"width": 390, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    grounds = {"light": "background:#fff;color:#222", "dark": "background:#14181e;color:#ced6dd"}
    bare = ("region", "landmark-one-main", "page-has-heading-one")  # the page around the cards
    with opened(browser, path) as page:
        page.evaluate("s => document.body.setAttribute('style', s)", grounds[scheme])
        page.get_by_role("radio").first.check()
        page.get_by_role("button", name="Check").first.click()
        options = {"rules": {rule: {"enabled": False} for rule in bare}, "preload": False}
        found = axe.Axe().run(page, options=options)
        assert [violation["id"] for violation in found.response["violations"]] == []
