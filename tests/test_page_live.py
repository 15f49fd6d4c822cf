"""The built pages in Chromium: code is written, checked and run there, with no kernel.

Skipped where the site was built without Python for the page.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from book_site import (
    NO_CHROMIUM,
    SITE,
    WIDTHS,
    accessibility_faults,
    chromium,
    open_browser,
    open_context,
    serve,
)
from playwright.sync_api import Browser, Locator, Page

from bnkit.book.exercise import Exercise, compose
from bnkit.book.registry import EXERCISES

FOLDER = SITE / "_static" / "page_python"
pytestmark = [
    pytest.mark.skipif(chromium() is None, reason=NO_CHROMIUM),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the site was built without Python for it"),
]
PATIENCE = 120_000  # milliseconds; Python starts in 5 s on a free core
FREE = "() => !document.querySelector('.bnkit-buttons [aria-disabled]')"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve(SITE) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[object]:
    """One context for all, so that Python is loaded once and then comes from the cache."""
    context = open_context(browser, WIDTHS["desktop"], "light")
    yield context
    context.close()


@pytest.fixture
def page(context: object) -> Iterator[Page]:
    page = context.new_page()
    yield page
    page.close()


def card(page: Page, exercise: Exercise) -> Locator:
    """The card of an exercise, whose editor is there."""
    title = exercise.title.replace("`", "")
    found = page.locator(".bnkit-exercise").filter(
        has=page.locator(f'[aria-label="Exercise: {title}"]')
    )
    found.locator("textarea").wait_for()
    return found


def visit(page: Page, address: str, exercise: Exercise) -> Locator:
    page.goto(f"{address}/chapters/{exercise.chapter}.html")
    return card(page, exercise)


def press(page: Page, found: Locator, code: str, button: str = "Check") -> str:
    """What the card says of a code."""
    found.locator("textarea").fill(code)
    found.get_by_role("button", name=button).click()
    page.wait_for_function(FREE, timeout=PATIENCE)
    return found.locator(".bnkit-said").inner_text()


FAMILIES = {  # by what an answer is; the first two of each are tried here
    "equations on a batch": ["propagate_centered", "dead_pixels", "whiten"],
    "running statistics and modes": ["to_pytorch", "corrected_mean", "freeze"],
    "backward passes": ["backward_2d", "layer_norm_backward"],
    "layers": ["averaging_layer", "layer_2d", "reestimate"],
    "training": ["early_stopping", "reestimated"],
    "steps and rates": ["turn", "matching_lr", "halving_batch"],
    "networks and other norms": ["skip_block", "family"],
    "several processes": ["merge", "sync"],
    "folding": ["fold", "fold_forward"],
    "diagnosis": [
        "mean_noise",
        "median_steps",
        "shift_check",
        "close_doors",
        "per_call",
        "landing",
    ],
}


def test_every_exercise_of_the_book_is_of_one_family() -> None:
    named = [name for names in FAMILIES.values() for name in names]
    assert sorted(named) == sorted(e.name for e in EXERCISES.values() if e.in_book)


@pytest.mark.parametrize("family", FAMILIES)
def test_solution_mistake_and_stub_are_told_apart_in_the_page_and_soon(
    page: Page, address: str, family: str
) -> None:
    chapter = None
    for exercise in (EXERCISES[name] for name in FAMILIES[family][:2]):
        found = (
            card(page, exercise) if exercise.chapter == chapter else visit(page, address, exercise)
        )
        chapter = exercise.chapter
        assert found.locator("textarea").input_value() == exercise.stub
        assert press(page, found, exercise.stub).startswith("Not started")
        patched = next(m for m in exercise.mistakes if not callable(m.change))
        told, seconds = {}, {}
        for code in (compose(exercise.source, patched.change), exercise.source):
            before = worker_seconds()
            told[code] = press(page, found, code)
            seconds[code] = worker_seconds() - before
        wrong, right = told.values()
        assert patched.name in wrong and patched.hint.split(".")[0] in wrong
        assert right.startswith("Passed")
        assert max(seconds.values()) < 1.5, seconds
        assert found.locator(".bnkit-state").inner_text() == "✓ passed, 2 attempts"
        progress = page.locator(".bnkit-progress").inner_text()
        assert f"{exercise.title.replace('`', '')}: ✓ passed, 2 attempts" in progress


def test_an_answer_that_nobody_foresaw_is_told_within_a_second_and_a_half(
    page: Page, address: str
) -> None:
    exercise = EXERCISES["to_pytorch"]
    found = visit(page, address, exercise)
    press(page, found, "print(1)", "Run")
    before = worker_seconds()
    said = press(page, found, "def to_pytorch(keras_momentum):\n    return keras_momentum**5 + 0.3")
    assert worker_seconds() - before < 1.5
    assert said.startswith("Not yet: ")


def worker_seconds() -> float:
    """Processor time of this browser's workers, since tests share the machine; 0 without /proc."""
    spent, parents = {}, {}
    for task in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            name, _, rest = task.read_text().partition("(")[2].rpartition(")")
            values = rest.split()
            parents[task.parts[2]] = values[1]
            if name.startswith("DedicatedWorker"):
                spent.setdefault(task.parts[2], []).append(int(values[11]) + int(values[12]))

    def ours(process: str | None) -> bool:
        return process == str(os.getpid()) or (process in parents and ours(parents[process]))

    ticks = sum(sum(each) for process, each in spent.items() if ours(process))
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def test_nothing_of_python_is_loaded_before_the_first_press(browser: Browser, address: str) -> None:
    context = open_context(browser, WIDTHS["desktop"], "light")
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    found = visit(page, address, EXERCISES["to_pytorch"])
    page.wait_for_timeout(500)
    before = [url for url in asked if "page_python" in url]
    assert sorted(re.sub(r".*/|\?.*", "", url) for url in before) == ["page.css", "page.js"]
    assert press(page, found, EXERCISES["to_pytorch"].source).startswith("Passed")
    assert all(url.startswith(address) for url in asked if not url.startswith(("data:", "blob:")))
    context.close()


def test_the_page_itself_grows_by_less_than_30_kb() -> None:
    files = [(FOLDER / name).read_bytes() for name in ("page.js", "page.css")]
    html = (SITE / "chapters" / "05_manual_implementation.html").read_text(encoding="utf-8")
    settings = re.search(r'<script[^>]*id="page-python"[^>]*>(.*?)</script>', html, re.DOTALL)[1]
    assert json.loads(settings)["exercises"]
    assert sum(len(gzip.compress(each)) for each in [*files, settings.encode()]) < 30_000


ENDED = {
    "while True:\n    pass": "It ran for 10 seconds",
    "input()": "input() has nobody to ask",
    "def f(n):\n    return f(n + 1)\nf(0)": "calls itself without end",
    "x = [0] * 2**29": "more memory than a page has",
    "print(": "SyntaxError in line 1",
    "class A:\n  def __repr__(self):\n    return repr([self])\nrepr(A())": "itself without end",
}


def test_whatever_code_does_the_page_goes_on(page: Page, address: str) -> None:
    found = visit(page, address, EXERCISES["to_pytorch"])
    for code, words in ENDED.items():
        assert words in press(page, found, code, "Run"), code
    assert press(page, found, "for i in range(1_000_000):\n    print(i)", "Run") == ""
    assert "characters more" in found.locator(".bnkit-printed").inner_text()
    press(page, found, "print(torch.ones(2))", "Run")
    assert found.locator(".bnkit-printed").inner_text().strip() == "tensor([1., 1.])"


def test_the_editor_indents_undoes_keeps_its_text_and_lets_the_keyboard_out(
    page: Page, address: str
) -> None:
    exercise = EXERCISES["to_pytorch"]
    found = visit(page, address, exercise)
    field = found.locator("textarea")
    field.fill("")
    field.press_sequentially("def f(x):\nreturn x")
    assert field.input_value() == "def f(x):\n    return x"
    field.press("Enter")
    field.press("Tab")
    assert field.input_value().endswith("return x\n    ")
    field.press("Control+z")
    assert not field.input_value().endswith("    ")
    assert found.locator(".bnkit-paper .k").first.inner_text() == "def"
    field.press("Escape")
    field.press("Tab")
    assert found.get_by_role("button", name="Check").evaluate("e => e === document.activeElement")
    kept = field.input_value()
    page.reload()
    found = card(page, exercise)
    assert found.locator("textarea").input_value() == kept
    found.get_by_role("button", name="Reset").click()
    assert found.locator("textarea").input_value() == exercise.stub


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_can_use_the_editor_and_axe_finds_nothing(
    browser: Browser, address: str, scheme: str
) -> None:
    context = open_context(browser, WIDTHS["phone"], scheme)
    page = context.new_page()
    found = visit(page, address, EXERCISES["averaging_layer"])
    size = found.locator("textarea").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert size >= 16  # a smaller one makes phones zoom
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in found.locator(".bnkit-buttons button").all():
        assert button.bounding_box()["height"] >= 44
    assert accessibility_faults(page, ["all"], ".bnkit-exercise") == []
    context.close()


def test_a_page_from_the_disk_says_how_to_serve_the_folder(page: Page) -> None:
    exercise = EXERCISES["to_pytorch"]
    page.goto((SITE / "chapters" / f"{exercise.chapter}.html").as_uri())
    found = card(page, exercise)
    found.get_by_role("button", name="Check").click()
    said = found.locator(".bnkit-said").inner_text()
    assert f'python3 -m http.server 8000 --directory "{SITE}' in said


def test_the_licenses_of_what_is_loaded_are_on_the_site(page: Page, address: str) -> None:
    visit(page, address, EXERCISES["to_pytorch"])
    link = page.get_by_role("link", name="What is loaded").first
    with urlopen(f"{address}/chapters/{link.get_attribute('href')}") as answer:
        text = answer.read().decode()
    assert "Mozilla Public License 2.0" in text and "Python Software Foundation" in text


def test_the_whole_site_stays_below_45_mb() -> None:
    assert sum(f.stat().st_size for f in SITE.rglob("*") if f.is_file()) < 45e6
