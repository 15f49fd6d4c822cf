"""Slides: what is chosen from a chapter, and a deck in the browser, from the disk."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from chromium import chromium
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytest.importorskip("nbconvert")

from slides.__main__ import main, reveal_folder
from slides.choose import ASKS, FEWEST, MOST, slides_of
from slides.render import markdown, section

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
SHOWN = ["02", "07"]  # the decks that the browser opens: widgets, mathematics, tall claims
SMALLEST = 0.7  # how far an exhibit may shrink to fit


@pytest.fixture(scope="module")
def decks():
    return {path.stem: slides_of(nbformat.read(path, as_version=4)) for path in CHAPTERS}


def kinds(slides) -> list[str]:
    return [slide.kind for slide in slides]


def test_each_chapter_is_a_deck_of_eight_to_fifteen_slides(decks):
    assert not {stem: len(s) for stem, s in decks.items() if not FEWEST <= len(s) <= MOST}


def test_each_deck_opens_with_the_question_and_has_its_key_points(decks):
    for stem, slides in decks.items():
        assert kinds(slides)[:2] == ["title", "points"], stem
        assert slides[0].exhibit.endswith("?"), stem
        assert "Key points" in [slide.title for slide in slides], stem


def test_each_deck_asks_something_and_has_something_that_answers(decks):
    assert not [stem for stem, slides in decks.items() if not set(kinds(slides)) & set(ASKS)]


def test_nothing_that_asks_is_answered_below(decks):
    assert not [s.title for slides in decks.values() for s in slides if s.kind in ASKS and s.says]


def test_no_slide_shows_a_solution(decks):
    for stem, slides in decks.items():
        for slide in slides:
            html = section(slide, "")
            assert 'class="bnkit bnkit-exercise"' not in html, (stem, slide.title)
            assert "<summary>Solution" not in html, (stem, slide.title)


def test_every_figure_says_what_it_shows(decks):
    figures = [s for slides in decks.values() for s in slides if s.kind == "figure"]
    assert figures
    assert not [s.title for s in figures if 'alt=""' in section(s, "")]


def small_chapter(*cells):
    title = new_markdown_cell(
        "# T\n\n**The question.** Why?\n\n**After this chapter you can**\n\n- go"
    )
    body = [new_markdown_cell("## A part"), *cells, new_markdown_cell("## Key points\n\n- One.")]
    return new_notebook(cells=[title, *body])


def printing(text: str, *tags: str):
    output = new_output("stream", name="stdout", text=text)
    return new_code_cell(f"print({text!r})", outputs=[output], metadata={"tags": list(tags)})


def test_a_tag_puts_a_cell_on_a_slide_or_keeps_it_off():
    first, second, third = printing("one", "slide"), printing("two", "no-slide"), printing("three")
    shown = [s.exhibit for s in slides_of(small_chapter(first, second, third)) if s.kind == "run"]
    assert shown == [first]
    shown = [s.exhibit for s in slides_of(small_chapter(third, second)) if s.kind == "run"]
    assert shown == [third]


def test_the_least_important_exhibits_are_left_out_and_the_order_stays():
    cells = [new_markdown_cell(f"## Part {i}\n\n$$\nx = {i}\n$$") for i in range(30)]
    tables = [new_markdown_cell("## Table\n\n| a | b |\n|---|---|\n| 1 | 2 |")]
    slides = slides_of(small_chapter(*tables, *cells))
    assert len(slides) == MOST
    titles = [slide.title for slide in slides if slide.kind == "equation"]
    assert titles == [f"Part {i}" for i in range(len(titles))]


def test_a_bold_sentence_goes_with_the_exhibit_before_it_and_the_text_into_the_notes():
    equation = new_markdown_cell("Words before.\n\n$$\ny = x\n$$")
    after = new_markdown_cell("Some text. **The sum stays what it was.** **What now?** More.")
    (slide,) = [s for s in slides_of(small_chapter(equation, after)) if s.kind == "equation"]
    assert slide.says == ["The sum stays what it was."]
    assert "Words before." in slide.notes


def test_links_lead_to_decks_or_to_the_web_and_never_to_a_page_that_is_not_there():
    text = "[a](03_two_modes.ipynb#x) [b](notation.md) [c](https://example.org/x.html)"
    assert re.findall(r'href="([^"]+)"', markdown(text)) == [
        "03_two_modes.html",
        "https://example.org/x.html",
    ]


def test_a_chapter_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SystemExit, match="got chapter 99, expected numbers such as 02"):
        main([str(tmp_path / "slides"), "99"])


# In the browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("sphinx_revealjs")
    folder = tmp_path_factory.mktemp("slides")
    main([str(folder), *SHOWN])
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=SHOWN)
def deck(request, browser, folder):
    """A deck, opened from the disk; it may complain of nothing and ask no other host."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    (file,) = folder.glob(f"{request.param}_*.html")
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    yield page
    page.close()
    allowed = ("data:", "blob:", folder.as_uri())  # the playground makes its module itself
    assert [text[:200] for text in complaints if not text.startswith(allowed)] == []


CURRENT = "Reveal.getCurrentSlide()"
SHRUNK = f"Number({CURRENT}.querySelector('.exhibit').style.zoom)"


def at(page) -> int:
    return page.evaluate("Reveal.getState().indexh")


def test_the_arrow_keys_lead_through_a_deck_whose_slides_all_fit(deck):
    deck.evaluate("Reveal.slide(0)")
    total = deck.evaluate("Reveal.getTotalSlides()")
    assert FEWEST <= total <= MOST
    for number in range(total):
        assert at(deck) == number
        deck.wait_for_timeout(100)
        title = deck.evaluate(f"{CURRENT}.querySelector('h1, h2').innerText")
        assert not deck.evaluate(f"overflows({CURRENT})"), title
        assert deck.evaluate(SHRUNK) >= SMALLEST, title
        deck.keyboard.press("ArrowRight")


def test_the_mathematics_is_typeset(deck):
    assert deck.locator("mjx-container").count() > 3
    assert deck.locator("mjx-merror, [data-mjx-error]").count() == 0
    text = deck.evaluate("document.querySelector('.slides').textContent")
    assert not re.search(r"\\\(|\$\$|\\frac", re.sub(r"const data = .*", "", text))


def test_a_guess_reveals_its_figure_and_the_slide_still_fits(deck):
    go_to(deck, "predict")
    slide = deck.locator("section.present")
    slide.get_by_role("radio").first.check()
    assert not slide.locator(".bnkit-reveal img").is_visible()
    slide.get_by_role("button").first.click()
    slide.locator(".bnkit-reveal img").wait_for()
    deck.wait_for_timeout(200)
    assert not deck.evaluate(f"overflows({CURRENT})")


def test_a_slider_moves_its_figure_and_its_arrows_do_not_turn_the_page(deck):
    go_to(deck, "explore")
    number, image = at(deck), deck.locator("section.present .bnkit-explore img")
    before = image.get_attribute("src")
    slider = deck.locator("section.present input[type=range]").first
    slider.focus()
    deck.keyboard.press("ArrowLeft")
    assert image.get_attribute("src") != before
    assert at(deck) == number


def go_to(deck, kind: str) -> None:
    at_kind = f"Reveal.getSlides().findIndex(slide => slide.dataset.kind === '{kind}')"
    deck.evaluate(f"Reveal.slide({at_kind})")


def test_the_playground_is_alive_on_its_slide(browser, folder):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto((folder / "02_equations.html").as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    go_to(page, "playground")
    point = page.locator("section.present [role=slider]").first
    before, number = point.get_attribute("aria-valuenow"), at(page)
    point.focus()
    page.keyboard.press("ArrowRight")
    assert point.get_attribute("aria-valuenow") != before
    assert at(page) == number
    page.close()


def test_a_network_trains_on_its_slide(browser, folder):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto((folder / "07_speed_and_learning_rate.html").as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    go_to(page, "train")
    total = page.evaluate("Reveal.getTotalSlides()")
    page.locator("section.present .bnkit-train-here button").first.click()
    page.locator("section.present .bntr-side").first.wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_function(f"/step [1-9]/.test({CURRENT}.innerText)")
    assert not page.evaluate(f"overflows({CURRENT})")
    assert page.evaluate("Reveal.sync() || Reveal.getTotalSlides()") == total
    page.close()


def test_the_list_of_decks_links_to_each(folder):
    links = re.findall(r'href="(\d\d_\w+\.html)"', (folder / "index.html").read_text("utf-8"))
    assert len(links) == len(SHOWN)
    assert all((folder / link).is_file() for link in links)


def test_reveal_comes_with_its_license(folder):
    assert "Permission is hereby granted" in (folder / "reveal" / "LICENSE").read_text("utf-8")
    assert (reveal_folder() / "dist" / "reveal.js").is_file()
