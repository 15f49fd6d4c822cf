"""The built book in Chromium: every page, at phone and desktop width, in light and dark.

The wide window asks a local server, the narrow one reads the files from the disk.
"""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from urllib.parse import unquote, urlsplit

import pytest
from book_site import (
    AXE_RULES,
    CODE,
    CUT_TEXT,
    LABEL_SIZES,
    NO_CHROMIUM,
    NO_SITE,
    NOT_HANGING,
    OPEN_FOLDS,
    PANELS,
    PRINTED,
    SCHEMES,
    SITE,
    WIDTHS,
    Visit,
    accessibility_faults,
    chromium,
    look,
    open_browser,
    open_context,
    open_page,
    pages,
    serve,
)
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

if not SITE.is_dir():
    if "BOOK_SITE" in os.environ:
        raise FileNotFoundError(NO_SITE)
    pytest.skip(NO_SITE, allow_module_level=True)

KB, MB = 1_000, 1_000_000
CHAPTERS = [name for name in pages() if re.match(r"chapters/\d", name)]
RAW_MARKUP = re.compile(r"\$[^$\n]{1,200}\$|\\\(|\\\[|\\begin\{|```|:::|\{[a-z][a-z:-]*\}`")

in_chromium = pytest.mark.skipif(chromium() is None, reason=NO_CHROMIUM)
every_page = pytest.mark.parametrize("name", pages())
every_width = pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve(SITE) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def visit(browser: Browser, address: str) -> Iterator[Callable[[str, int, str], Visit]]:
    """Look at a page once a width: at the desktop over http, at the phone from the disk."""
    contexts = {width: open_context(browser, width, "light") for width in WIDTHS.values()}

    @cache
    def visits(name: str, width: int) -> dict[str, Visit]:
        url = f"{address}/{name}" if width == WIDTHS["desktop"] else (SITE / name).as_uri()
        page = contexts[width].new_page()
        found = look(page, url)
        page.close()
        return found

    yield lambda name, width, scheme: visits(name, width)[scheme]
    for context in contexts.values():
        context.close()


@pytest.fixture
def desktop(browser: Browser) -> Iterator[Page]:
    context = open_context(browser, WIDTHS["desktop"], "light")
    yield context.new_page()
    context.close()


@cache
def soup(name: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")


def compressed(data: bytes) -> int:
    return len(gzip.compress(data, mtime=0))


def target(page: str, link: str) -> tuple[str, str]:
    """The page and the anchor that a relative link leads to."""
    parts = urlsplit(link)
    path = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
    return os.path.relpath(path, SITE), unquote(parts.fragment)


def is_local(link: str) -> bool:
    return not re.match(r"[a-z]+:|#$", link)


def is_found(path: str, anchor: str) -> bool:
    if not (SITE / path).is_file():
        return False
    return not anchor or not path.endswith(".html") or bool(soup(path).find(id=anchor))


# ---- the files


@every_page
def test_internal_links_lead_somewhere(name: str) -> None:
    links = {a["href"] for a in soup(name).find_all("a", href=True)}
    assert not [link for link in links if is_local(link) and not is_found(*target(name, link))]


@every_page
def test_page_is_light(name: str) -> None:
    html = (SITE / name).read_bytes()
    images = {
        target(name, img["src"])[0]
        for img in soup(name).find_all("img", src=True)
        if not img["src"].startswith("data:")
    }
    weight = compressed(html) + sum(compressed((SITE / path).read_bytes()) for path in images)
    limit = 1.5 * MB if b'class="bnkit ' in html or b"bnpg" in html else 400 * KB
    assert weight <= limit, f"{weight / KB:.0f} KB"


def test_site_is_small() -> None:
    assert sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file()) <= 40 * MB


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_offers_to_be_run_downloaded_and_mended(name: str) -> None:
    buttons = [a["href"] for a in soup(name).select(".article-header-buttons a")]
    notebook = name.replace(".html", ".ipynb")
    for wanted in ("colab.research.google.com", "mybinder.org", "/edit/main/", "/issues/new"):
        assert any(wanted in link for link in buttons), wanted
    assert any(link.endswith(f"_sources/{notebook}") for link in buttons)


# ---- every page, as a reader sees it


@in_chromium
@every_width
@every_scheme
@every_page
def test_page_looks_after_itself(visit: Callable, name: str, scheme: str, width: int) -> None:
    seen = visit(name, width, scheme)
    assert not seen.strangers(), "asks another host"
    assert not seen.trouble, "reports errors"
    assert not seen.broken_images
    assert not seen.math_errors
    assert not seen.overflowing, "scrolls sideways"
    assert not seen.cut_tables, "a table scrolls sideways"
    assert not RAW_MARKUP.findall(seen.prose), "shows raw markup"


@in_chromium
@every_page
def test_page_has_no_pale_box_in_the_dark(visit: Callable, name: str) -> None:
    assert not visit(name, WIDTHS["desktop"], "dark").pale_boxes


@in_chromium
@pytest.mark.parametrize(("width", "scheme"), AXE_RULES)
@every_page
def test_page_is_accessible(visit: Callable, name: str, width: int, scheme: str) -> None:
    assert not visit(name, width, scheme).faults


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Page]:
    context = open_context(browser, WIDTHS["phone"], "light")
    yield context.new_page()
    context.close()


every_chapter = pytest.mark.parametrize("name", CHAPTERS)


@in_chromium
@every_chapter
def test_no_code_or_output_is_cut_off_on_a_desktop(desktop: Page, name: str) -> None:
    open_page(desktop, (SITE / name).as_uri()).evaluate(OPEN_FOLDS)
    assert not desktop.evaluate(CUT_TEXT, CODE)


@in_chromium
@every_chapter
def test_printed_output_wraps_on_a_phone(phone: Page, name: str) -> None:
    open_page(phone, (SITE / name).as_uri()).evaluate(OPEN_FOLDS)
    assert not phone.evaluate(CUT_TEXT, PRINTED)
    assert not phone.evaluate(NOT_HANGING, PRINTED)


@in_chromium
@every_chapter
def test_labels_of_figures_are_legible_on_a_phone(phone: Page, name: str) -> None:
    open_page(phone, (SITE / name).as_uri()).evaluate(OPEN_FOLDS)
    assert not [label for label in phone.evaluate(LABEL_SIZES) if label[1] < 9]
    assert phone.evaluate("document.documentElement.scrollWidth") <= WIDTHS["phone"]
    for figure in phone.evaluate(PANELS):
        assert all(crop["shown"] and crop["height"] > 50 for crop in figure)


@in_chromium
@every_chapter
def test_a_figure_in_parts_is_whole_on_a_desktop_and_read_once(desktop: Page, name: str) -> None:
    open_page(desktop, (SITE / name).as_uri()).evaluate(OPEN_FOLDS)
    for first, *others in desktop.evaluate(PANELS):
        assert first["shown"] and first["alt"] and not first["hidden"]
        assert not any(crop["shown"] or crop["alt"] or not crop["hidden"] for crop in others)


@in_chromium
@every_page
def test_a_phone_names_every_field_and_reaches_every_box_by_keyboard(
    phone: Page, name: str
) -> None:
    open_page(phone, (SITE / name).as_uri()).evaluate(OPEN_FOLDS)
    rules = ["label", "button-name", "link-name", "scrollable-region-focusable"]
    assert not accessibility_faults(phone, rules)


@in_chromium
@every_scheme
def test_code_is_legible(browser: Browser, address: str, scheme: str) -> None:
    context = open_context(browser, WIDTHS["desktop"], scheme)
    page = open_page(context.new_page(), f"{address}/{CHAPTERS[-1]}")
    assert not accessibility_faults(page, ["color-contrast"], ".cell_input .highlight")
    context.close()


@in_chromium
@every_page
def test_images_say_what_they_show(visit: Callable, name: str) -> None:
    for alt in visit(name, WIDTHS["desktop"], "light").alt_texts:
        assert len(alt) > 20, alt
        assert not re.search(r"\.(png|svg|jpe?g)$", alt), alt


@in_chromium
def test_first_visit_loads_little(browser: Browser, address: str) -> None:
    context = open_context(browser, WIDTHS["desktop"], "light")
    page = context.new_page()
    kinds = {"script", "stylesheet", "font"}
    loaded: dict[str, bytes] = {}
    page.on(
        "requestfinished",
        lambda request: loaded.setdefault(
            request.url, request.response().body() if request.resource_type in kinds else b""
        ),
    )
    open_page(page, f"{address}/{max(pages(), key=lambda name: (SITE / name).stat().st_size)}")
    page.wait_for_timeout(300)
    context.close()
    weight = sum(compressed(body) for body in loaded.values() if body)
    assert 300 * KB < weight <= 1.3 * MB, f"{weight / KB:.0f} KB"


@in_chromium
@every_scheme
def test_a_wide_table_is_cards_on_a_phone_whose_lines_say_their_heading(
    browser: Browser, address: str, scheme: str
) -> None:
    context = open_context(browser, WIDTHS["phone"], scheme)
    page = open_page(context.new_page(), f"{address}/chapters/teaching.html")
    tables = page.locator(".stacked > table")
    assert tables.count() == page.locator(".bd-article table").count() >= 5
    lesson = tables.filter(has_text="Four steps by hand").locator("tbody tr").first
    lines = [cell.inner_text() for cell in lesson.locator("td").all()]
    headings = ("Minutes: ", "Topic: ", "Show: ", "Let them: ")
    assert all(line.startswith(heading) for line, heading in zip(lines, headings, strict=True))
    page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
    page.wait_for_function("!document.querySelector('.stacked')")
    assert not page.locator(".cell-label:visible").count()
    context.close()


@in_chromium
def test_there_is_one_search_field_and_it_finds(desktop: Page, address: str) -> None:
    open_page(desktop, f"{address}/index.html")
    assert (
        desktop.locator(".search-button__button:visible, input[type=search]:visible").count() == 1
    )
    desktop.keyboard.press("Control+k")
    field = desktop.locator("#pst-search-dialog input[type=search]")
    field.fill("running_var")
    field.press("Enter")
    desktop.wait_for_selector("#search-results li a")
    assert desktop.locator("#search-results li a").count() > 0


@in_chromium
@pytest.mark.parametrize("query", ["running_var", "effective learning rate"])
def test_search_shows_excerpts_from_the_disk_as_over_http(
    desktop: Page, address: str, query: str
) -> None:
    found = []
    for site in (address, SITE.as_uri()):
        desktop.goto(f"{site}/search.html?q={query}")
        desktop.wait_for_function("/found \\d+ page/.test(Search.status.innerText)")
        desktop.wait_for_timeout(500)
        hits = desktop.locator("#search-results li").all()
        found.append([len(hit.inner_text().splitlines()) > 1 for hit in hits])
    assert found[0] == found[1] and all(found[1]) and found[1]


@in_chromium
def test_reader_can_choose_the_colour_mode(desktop: Page, address: str) -> None:
    open_page(desktop, f"{address}/index.html")
    html = desktop.locator("html")
    seen = set()
    for _ in range(3):
        desktop.locator(".theme-switch-button:visible").click()
        seen.add((html.get_attribute("data-mode"), html.get_attribute("data-theme")))
    assert {mode for mode, _ in seen} == {"auto", "light", "dark"}
    assert ("dark", "dark") in seen


@in_chromium
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_sheet_of_equations_prints_on_one_page(desktop: Page, address: str, paper: str) -> None:
    pypdf = pytest.importorskip("pypdf")
    open_page(desktop, f"{address}/chapters/equations_sheet.html")
    (sheet,) = pypdf.PdfReader(io.BytesIO(desktop.pdf(format=paper))).pages
    words = sheet.extract_text()
    assert "The equations on one page" in words
    assert "copy.deepcopy" in words


# ---- what answers without a kernel

WITH_SLIDERS = [name for name in pages() if 'class="bnkit bnkit-explore' in str(soup(name))]
WITH_QUIZZES = [name for name in pages() if 'class="bnkit bnkit-quiz' in str(soup(name))]


@in_chromium
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_each_slider_moves_the_picture_by_keyboard(desktop: Page, address: str, name: str) -> None:
    open_page(desktop, f"{address}/{name}")
    for figure in desktop.locator(".bnkit-explore").all():
        for slider in figure.locator("input[type=range]").all():
            image = figure.locator("img").first
            before, text = image.get_attribute("src"), slider.get_attribute("aria-valuetext")
            slider.focus()
            seen = set()
            for key in ("Home", "End"):
                slider.press(key)
                seen.add(image.get_attribute("src"))
            assert len(seen | {before}) > 1, "the picture stays"
            assert slider.get_attribute("aria-valuetext") or text


@in_chromium
@pytest.mark.parametrize("name", WITH_QUIZZES)
def test_each_quiz_answers(desktop: Page, address: str, name: str) -> None:
    open_page(desktop, f"{address}/{name}")
    for quiz in desktop.locator(".bnkit-quiz").all():
        first = quiz.locator("form input").first
        first.check() if first.get_attribute("type") != "text" else first.fill("12345")
        quiz.locator("button").click()
        assert len(quiz.locator(".bnkit-say").inner_text()) > 20
        desktop.evaluate("() => window.MathJax?.startup?.promise")
        assert "\\(" not in quiz.locator(".bnkit-say").inner_text()


@in_chromium
@pytest.mark.parametrize("name", WITH_SLIDERS)
def test_printed_page_shows_a_picture_in_place_of_each_widget(
    desktop: Page, address: str, name: str
) -> None:
    open_page(desktop, f"{address}/{name}")
    desktop.emulate_media(media="print")
    for figure in desktop.locator(".bnkit-explore").all():
        assert figure.locator("img").first.bounding_box()["height"] > 50
        assert not figure.locator("input[type=range]:visible").count()
    assert not desktop.locator("#pst-primary-sidebar:visible").count()
