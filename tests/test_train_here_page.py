"""Train it here, in a browser: what a reader does, sees and hears."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from book_site import serve
from train_here_reader import HEAD, IMPORT, SMALL, Reader, launched, modules

from bnkit.book import train_here_page
from bnkit.book.train_here_page import DEFAULTS, WORKER, train_here_html


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    (folder / "_static").mkdir()
    train_here_page.write_scripts(folder / "_static")
    pages = {
        "chapters/one.html": train_here_html(**SMALL),
        "chapters/two.html": train_here_html(**SMALL) + train_here_html(**SMALL, seed=7),
        "chapters/deep.html": train_here_html(depth=6, right="layer", lr=10, optimizer="sgd"),
        "lost/deep/one.html": train_here_html(**SMALL),
        "lost/deep/alone.html": train_here_html(alone=True, **SMALL),
    }
    for name, body in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{HEAD}{body}</main></html>", encoding="utf-8")
    return folder


@pytest.fixture
def visit(browser, site):
    """Open a page by name; afterwards its console must be empty."""
    contexts, complaints = [], []

    def go(name="chapters/one.html", address="", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page, requests = context.new_page(), []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: requests.append(r.url.rpartition("/")[2]))
        page.goto((site / name).as_uri() + address)
        return Reader(page, requests)

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def test_nothing_is_fetched_before_the_reader_asks_and_digits_only_to_train(visit):
    reader = visit()
    reader.page.wait_for_load_state("networkidle")
    assert reader.requests == ["one.html"]
    reader.begin()
    assert reader.requests[1:] == ["train_here.js"]
    assert not reader.page.workers
    reader.press("One step", 1)
    own = [name for name in reader.requests if "-" not in name]  # but the worker's Blob
    assert own == ["one.html", "train_here.js", "train_here_digits.js"]
    assert len(reader.page.workers) == 1


def test_start_pause_one_step_and_reset(visit):
    reader = visit().begin().press("One step", 1).press("One step", 2).run_to(30)
    stopped = reader.step()
    reader.page.wait_for_timeout(400)
    assert reader.step() == stopped
    reader.press("One step", stopped + 1)
    reader.press("Reset", 0)
    assert reader.button("Start").is_visible()


def test_what_is_seen_is_the_same_for_one_seed_whatever_the_pauses(visit):
    one, two = visit().begin(), visit().begin()
    for step in range(1, 4):
        one.press("One step", step)
        two.press("One step", step)
    assert one.seen() == two.seen()
    one.press("Reset", 0)
    two.choose("lr", "0.1").wait(0)
    two.choose("lr", "0.001").wait(0)
    for step in range(1, 4):
        one.press("One step", step)
        two.press("One step", step)
    assert one.seen() == two.seen()


def test_training_lowers_the_loss_and_raises_the_accuracy(visit):
    reader = visit().begin().press("One step", 1)
    numbers = re.compile(r"loss (\S+), validation accuracy (\S+) %")
    before = numbers.findall(reader.status())
    reader.run_to(400)
    for (loss, accuracy), (loss_then, then) in zip(
        numbers.findall(reader.status()), before, strict=True
    ):
        assert float(loss) < 0.6 * float(loss_then)
        assert float(accuracy) > 70 > float(then)


def test_an_address_reproduces_the_setting_and_a_change_is_written_into_it(visit):
    address = "#lr=0.1&optimizer=sgd&left=layer&right=group&depth=2&width=64&batch=16&seed=9"
    reader = visit(address=address)
    reader.button("Start").wait_for()
    read = lambda name: reader.page.locator(f'[data-set="{name}"]').input_value()  # noqa: E731
    names = ("lr", "optimizer", "left", "right", "depth", "width", "batch", "seed")
    assert [read(name) for name in names] == ["0.1", "sgd", "layer", "group", "2", "64", "16", "9"]
    reader.choose("batch", "32")
    assert "batch=32&" in reader.page.url
    again = visit(address=reader.page.url[reader.page.url.index("#") :])
    again.button("Start").wait_for()
    again.press("One step", 1)
    reader.press("One step", 1)
    assert again.seen() == reader.seen()
    reader.page.evaluate("location.hash = '#lr=0.03&seed=5'")
    reader.page.wait_for_function("document.querySelector('[data-set=seed]').value === '5'")
    assert [read("lr"), read("depth")] == ["0.03", "1"]  # the rest as the chapter has it


def test_first_setting_brings_the_chapters_own_back(visit):
    reader = visit().begin()
    reader.choose("depth", "4").choose("right", "group")
    assert reader.page.locator('[data-out="note"]').inner_text().startswith("784-32-32-32-32-10")
    reader.button("First setting").click()
    assert reader.page.locator('[data-out="note"]').inner_text().startswith("784-32-10, Adam")


def test_statistics_are_shown_for_batch_norm_alone(visit):
    reader = visit().begin().press("One step", 1)
    boxes = reader.page.locator('[data-box="statistics"]')
    assert [boxes.nth(k).is_visible() for k in (0, 1)] == [True, False]
    dots = reader.page.locator(".bntr-dots").first.get_attribute("d")
    assert dots.count("M") == SMALL["width"]
    reader.choose("left", "layer").choose("right", "batch").wait(0)
    assert [boxes.nth(k).is_visible() for k in (0, 1)] == [False, True]


def test_the_switch_evaluates_at_once_and_leaves_the_run_alone(visit):
    reader = visit().begin().run_to(60)
    step, running = reader.step(), reader.status()
    reader.page.get_by_label("statistics of the batch").check()
    reader.page.wait_for_function(
        "t => document.querySelector('[role=status]').textContent !== t", arg=running
    )
    assert reader.step() == step
    batch = reader.status()
    assert batch.partition("no norm")[2] == running.partition("no norm")[2]  # it has no mode
    reader.page.locator("[value=running]").check()
    reader.page.wait_for_function(
        "t => document.querySelector('[role=status]').textContent === t", arg=running
    )


def test_it_works_over_http(browser, site):
    with serve(site) as address:
        page = browser.new_page()
        page.goto(f"{address}/chapters/one.html")
        Reader(page, []).begin().press("One step", 1)
        page.close()


def test_beside_a_kernel_it_needs_no_site(visit):
    reader = visit("lost/deep/alone.html").begin().press("One step", 1)
    assert [name for name in reader.requests if name.endswith(".js")] == []


def test_without_the_site_it_says_what_is_missing(browser, site):
    page = browser.new_page()
    page.goto((site / "lost/deep/one.html").as_uri())
    page.evaluate("document.documentElement.dataset.content_root = '../nowhere/'")
    page.get_by_role("button").click()
    page.wait_for_function("document.querySelector('small').textContent.includes('not beside')")
    assert page.get_by_role("button").is_enabled()
    page.close()


def test_digits_that_do_not_come_are_told_and_can_be_tried_again(visit, site):
    digits = site / "_static" / "train_here_digits.js"
    reader = visit().begin()
    text = digits.read_text(encoding="utf-8")
    digits.write_text(text.replace('"gzip": "H4sI', '"gzip": "AAAA'), encoding="utf-8")
    try:
        reader.button("Start").click()
        reader.page.wait_for_function(
            "document.querySelector('[data-out=note]').textContent.startsWith('It cannot train')"
        )
    finally:
        digits.write_text(text, encoding="utf-8")
    assert reader.button("Start").is_enabled()
    reader.page.evaluate("delete globalThis.bnkitDigits")
    reader.press("One step", 1)


def test_two_on_a_page_do_not_disturb_each_other(visit):
    reader = visit("chapters/two.html").begin(0).begin(0)  # the second button is then the first
    reader.press("One step", 1, which=1)
    assert reader.page.locator("[data-out=step]").nth(0).inner_text() == "step 0"
    assert reader.page.locator("[data-set=seed]").nth(1).input_value() == "7"


def test_a_keyboard_is_enough(visit):
    reader = visit()
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("Enter")
    reader.button("Start").wait_for()
    reader.page.wait_for_function("document.activeElement.textContent === 'Start'")
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("Enter")
    reader.wait(1)
    reader.page.locator("[data-set=depth]").focus()
    reader.page.keyboard.press("ArrowDown")
    reader.wait(0)
    assert reader.page.locator("[data-set=depth]").input_value() == "2"


def test_a_screen_reader_hears_the_numbers_politely_and_not_at_each_picture(visit):
    reader = visit().begin()
    reader.page.evaluate("""() => {
      globalThis.said = 0;
      new MutationObserver(() => said++)
        .observe(document.querySelector("[role=status]"), { childList: true });
    }""")
    reader.run_to(200)
    assert reader.page.locator("[role=status]").get_attribute("aria-live") == "polite"
    assert re.fullmatch(
        r"Step \d+\. batch norm: training loss \S+, validation accuracy \S+ %\. no norm: .* %\.",
        reader.status(),
    )
    drawn = reader.page.evaluate("performance.now()") / 100
    assert reader.page.evaluate("said") < max(drawn / 8, 8)
    for picture in reader.page.locator(".bntr svg:visible, .bntr canvas").all():
        assert len(picture.get_attribute("aria-label")) > 30
    assert "hidden" not in reader.page.locator("[role=status]").get_attribute("class")


def test_with_reduced_motion_pictures_change_once_a_second(visit):
    reader = visit(reduced_motion="reduce").begin().press("One step", 1)
    reader.page.evaluate("""() => {
      globalThis.changes = [];
      new MutationObserver(() => changes.push(performance.now()))
        .observe(document.querySelector("[data-out=step]"), { childList: true });
    }""")
    reader.button("Start").click()
    reader.page.wait_for_function("changes.length > 2", timeout=30_000)
    times = reader.page.evaluate("changes")
    assert min(b - a for a, b in pairwise(times)) > 700


def test_a_diverging_run_is_shown_and_said(visit):
    reader = visit("chapters/deep.html").begin().run_to(20)
    assert "validation accuracy" in reader.status()
    assert "NaN" not in reader.page.locator(".bntr").inner_html()


def heap(page):
    """Bytes of the page's objects and typed arrays, after the garbage is collected."""
    page.evaluate(
        """async () => {
          for (let k = 0; k < 3; k++) { gc(); await new Promise((done) => setTimeout(done, 50)); }
        }"""
    )
    usage = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")
    return usage["usedSize"] + usage.get("backingStorageSize", 0)


def test_memory_is_flat_over_ten_thousand_steps(visit):
    reader = visit().begin().choose("batch", "2").run_to(500)
    before, nodes = heap(reader.page), "document.querySelectorAll('*').length"
    elements = reader.page.evaluate(nodes)
    reader.button("Start").click()
    reader.wait(10_000)  # where it pauses by itself
    reader.button("Start").wait_for()
    assert reader.page.evaluate(nodes) < elements + 20  # ticks of an axis come and go
    assert heap(reader.page) < before + 1_000_000


def test_the_arithmetic_keeps_nothing_over_ten_thousand_steps(visit):
    page = visit().page
    page.evaluate(IMPORT, modules(*WORKER[:-1]))
    packed = json.loads(train_here_page.digits().partition("= ")[2].rstrip(";"))
    page.evaluate(
        "async (packed) => { globalThis.digits = await js.unpackDigits(packed); }", packed
    )
    advance = """([steps, settings]) => {
      globalThis.race ??= js.makeRace(digits, settings);
      for (let k = 0; k < steps; k++) race.advance();
      return race.snapshot().step;
    }"""
    settings = {**DEFAULTS, **SMALL, "batch": 2, "norms": ["batch", "layer"]}
    assert page.evaluate(advance, [500, settings]) == 500
    before = heap(page)
    for _ in range(10):
        page.evaluate(advance, [1_000, settings])
    assert heap(page) < before + 1_000_000


def tasks_of(events, mark):
    """Microseconds of processor time of each task of the page's own thread, after a mark of it.

    Not its time on the clock, since tests share the machine; and without what the driver asks for.
    """
    marked = next(e for e in events if e["name"] == mark)
    own = [
        e for e in events if (e["pid"], e["tid"]) == (marked["pid"], marked["tid"]) and "tdur" in e
    ]
    asked = [e["ts"] for e in own if DRIVER in str(e["args"])]
    own = [e for e in own if e["ts"] >= marked["ts"] and e["name"].endswith("RunTask")]
    return [e["tdur"] for e in own if not any(0 <= t - e["ts"] <= e["dur"] for t in asked)]


DRIVER = "blink.mojom.DevToolsSession"


def test_no_task_of_the_page_takes_fifty_milliseconds_while_it_trains(browser, visit, tmp_path):
    reader, path = visit(), tmp_path / "trace.json"
    categories = ["toplevel", "blink.user_timing"]
    browser.start_tracing(page=reader.page, path=path, categories=categories)
    reader.page.evaluate("performance.mark('opens')")
    reader.begin()
    reader.page.evaluate("performance.mark('trains')")
    reader.run_to(200)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    opening, training = (tasks_of(events, mark) for mark in ("opens", "trains"))
    assert len(opening) > len(training) > 100
    assert max(training) < 50_000
    assert max(opening) < 50_000  # its script and its digits too, once


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(visit, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    for reader in [visit(**options), visit(**options).begin().press("One step", 1)]:
        found = axe.Axe().run(reader.page, options={"preload": False}).response["violations"]
        assert not [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found]
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = """[...document.querySelectorAll(".bntr :is(button, select, input[type=number])")]
      .map((e) => e.offsetHeight)"""
    assert min(reader.page.evaluate(sizes)) >= 44
    font = "parseFloat(getComputedStyle(document.querySelector('.bntr select')).fontSize)"
    assert reader.page.evaluate(font) >= 16  # below it a phone zooms in on focus


def test_paper_shows_the_pictures_and_no_control(visit):
    reader = visit(color_scheme="dark")
    reader.page.emulate_media(media="print")
    assert not reader.page.get_by_role("button").first.is_visible()
    assert reader.page.get_by_text("On paper nothing trains").is_visible()
    reader.page.emulate_media(media="screen")
    reader.begin().press("One step", 1)
    reader.page.emulate_media(media="print")
    for selector in ("button", "select", "input"):
        assert not reader.page.locator(selector).first.is_visible()
    assert reader.page.locator("canvas").first.bounding_box()["height"] > 100
    color = "getComputedStyle(document.querySelector('.bntr')).color"
    assert reader.page.evaluate(color) == "rgb(17, 17, 17)"
    assert len(reader.page.pdf()) > 10_000
