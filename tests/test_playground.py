"""The playground: its arithmetic against PyTorch, and what a reader's hands do to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from bnkit.book.playground import Playground, playground
from bnkit.book.playground_page import DEFAULTS, STATIC, playground_html

BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
needs_browser = pytest.mark.skipif(not BROWSER, reason="no Chromium: apt-get install chromium")

IMPORT = """async ([source, expression, given]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const js = await import(url);
  return new Function("js", "given", "return " + expression)(js, given);
}"""


# ---- without a browser


def test_page_has_the_same_bytes_each_time_and_asks_no_host():
    page = playground_html()
    assert page == playground_html()
    assert page != playground_html(seed=1)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert len(page.encode()) < 30_000


def test_page_is_built_without_torch_ipywidgets_or_anywidget():
    code = f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location
for name in ("torch", "numpy", "ipywidgets", "anywidget", "traitlets", "matplotlib"):
    sys.modules[name] = None
spec = spec_from_file_location("page", {str(STATIC.parent / "playground_page.py")!r})
page = module_from_spec(spec)
spec.loader.exec_module(page)
assert "<svg" in page.playground_html(beta=1)
"""
    subprocess.run([sys.executable, "-S", "-c", code], check=True)


def test_playground_is_html_when_baked_and_a_widget_when_live(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    assert set(playground()._repr_mimebundle_()) == {"text/html", "text/plain"}
    monkeypatch.setenv("BNKIT_WIDGETS", "live")
    widget = playground(gamma=2)
    assert isinstance(widget, Playground)
    assert widget.gamma == 2.0


def test_live_falls_back_to_html_without_anywidget(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "live")
    monkeypatch.setattr("bnkit.book.playground.anywidget", None)
    assert "text/html" in playground()._repr_mimebundle_()


def test_every_part_of_the_state_is_a_synced_trait_with_the_same_default():
    traits = Playground().traits(sync=True)
    for name, value in DEFAULTS.items():
        assert name in traits
        assert getattr(Playground(), name) == value


def test_widget_takes_what_the_browser_sends_and_sends_what_python_sets():
    widget = Playground()
    widget.set_state({"x": [1, 2.5, 4], "training": False, "num_batches_tracked": 3})
    assert (widget.x, widget.training, widget.num_batches_tracked) == ([1.0, 2.5, 4.0], False, 3)
    sent = []
    widget.comm.send = lambda data=None, **_: sent.append(data)
    widget.x = [0.0, 4.0]
    assert sent[-1]["state"] == {"x": [0.0, 4.0]}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"sigma": 1}, "sigma"),
        ({"x": [1.0]}, "1 values"),
        ({"x": [0.0] * 17}, "17 values"),
        ({"x": [0.0, float("nan")]}, "finite"),
        ({"eps": 0}, "eps is 0.0"),
        ({"running_var": -1}, "running_var -1.0"),
    ],
)
def test_a_wrong_start_is_named(state, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        playground(**state)


def test_directive_loads_the_builder_by_its_path():
    path = Path(__file__).parents[1] / "_ext" / "playground_page.py"
    pytest.importorskip("sphinx")
    spec = spec_from_file_location("playground_directive", path)
    directive = module_from_spec(spec)
    spec.loader.exec_module(directive)
    assert directive.load_page_builder().playground_html() == playground_html()


# ---- in a browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("playground")
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Playground</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        "<style>body{font:16px sans-serif;margin:10px;color:#222;background:#fff}"
        "@media (prefers-color-scheme:dark){body{color:#ced6dd;background:#14181e}}</style>"
        "<main><h1>Playground</h1>"
    )
    bodies = {
        "one": playground_html(),
        "two": playground_html() + playground_html(),
        "far": playground_html(x=[-8, 10, *range(-6, 8)], gamma=-3.0, eps=10, training=False),
    }
    for name, body in bodies.items():
        (folder / f"{name}.html").write_text(head + body + "</main></html>", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, site):
    """Open a page by name; complain afterwards about console errors and outside requests."""
    contexts, complaints = [], []

    def go(name="one", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "blob:")) else 0,
        )
        page.goto((site / f"{name}.html").as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector(".bnpg-bar")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def js(open_page):
    """Evaluate an expression of the module's exports ``js`` and of ``given``."""
    page = open_page()
    source = (STATIC / "playground.js").read_text(encoding="utf-8")
    return lambda expression, given: page.evaluate(IMPORT, [source, expression, given])


def number(page, name):
    return float(page.locator(f'[data-out="{name}"]').first.inner_text().replace("−", "-"))


def points(page):
    values = page.locator("[data-index]").evaluate_all(
        "all => all.map((point) => point.getAttribute('aria-valuenow'))"
    )
    return [float(value) for value in values]


def x_hats(page):
    texts = page.locator("[data-index]").evaluate_all(
        "all => all.map((point) => point.getAttribute('aria-valuetext'))"
    )
    return [float(re.search(r"x hat (\S+),", text)[1].replace("−", "-")) for text in texts]


def random_cases():
    generator = torch.Generator().manual_seed(0)
    for n in range(2, 17):
        x = torch.randn(n, generator=generator, dtype=torch.float64) * n + n
        gamma, beta, mean = torch.randn(3, generator=generator, dtype=torch.float64).tolist()
        variance = torch.rand(1, generator=generator, dtype=torch.float64).item() + 0.1
        eps = 10.0 ** -(n % 9)
        yield x, gamma, beta, mean, variance, eps


@needs_browser
def test_arithmetic_of_the_module_equals_pytorch(js):
    cases = list(random_cases())
    given = [[x.tolist(), *rest] for x, *rest in cases]
    expression = """given.map(([x, gamma, beta, mean, variance, eps]) => {
      const batch = js.batchStatistics(x), running = { mean, variance };
      return { train: js.normalize(x, batch, { gamma, beta, eps }).y,
               eval: js.normalize(x, running, { gamma, beta, eps }).y,
               running: js.updateRunning(running, x) }; })"""
    for (x, gamma, beta, mean, variance, eps), got in zip(
        cases, js(expression, given), strict=True
    ):
        tensor = partial(torch.tensor, dtype=torch.float64)
        running = tensor([mean]), tensor([variance])
        affine = tensor([gamma]), tensor([beta])
        column = x[:, None]  # (N, 1)
        expected = F.batch_norm(column, *running, *affine, False, 0.1, eps)[:, 0]
        torch.testing.assert_close(tensor(got["eval"]), expected, rtol=1e-9, atol=1e-9)
        expected = F.batch_norm(column, *running, *affine, True, 0.1, eps)[:, 0]
        torch.testing.assert_close(tensor(got["train"]), expected, rtol=1e-9, atol=1e-9)
        updated = tensor([got["running"]["mean"], got["running"]["variance"]])
        torch.testing.assert_close(updated, torch.cat(running), rtol=1e-9, atol=1e-9)


@needs_browser
def test_batches_come_from_the_stated_population(js):
    first, again, many = js(
        "[js.drawBatch(8, 0, 3, 2), js.drawBatch(8, 0, 3, 2), js.drawBatch(20000, 5, 3, 2)[0]]",
        None,
    )
    assert first == again
    sample = torch.tensor(many)
    assert abs(sample.mean() - 3) < 0.06
    assert abs(sample.std() - 2) < 0.06


@needs_browser
def test_picture_without_scripts_has_the_points_of_the_one_with_scripts(open_page):
    centres = "all => all.map((c) => parseFloat(c.getAttribute('cx')))"
    for name in ("one", "far"):
        still = open_page(name, java_script_enabled=False)
        moving = open_page(name)
        static = sorted(still.locator("circle").evaluate_all(centres))
        live = moving.locator(".bnpg-dot, circle[r='5']").evaluate_all(centres)
        assert static == pytest.approx(sorted(live), abs=1e-3)
        assert (
            still.locator("p").inner_text().endswith("With JavaScript the points can be dragged.")
        )


@needs_browser
def test_dragging_a_point_moves_it_and_the_mean(open_page):
    page = open_page()
    x, mean = points(page), number(page, "mean")
    box = page.locator("[data-index='4'] .bnpg-dot").bounding_box()
    width = page.locator(".bnpg-picture").bounding_box()["width"]
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(at[0] + 3, at[1] + 9)  # the hit area is larger than the dot
    page.mouse.down()
    page.mouse.move(at[0] + 3 - 2 * 0.96 * width / 18, at[1] + 200, steps=5)
    page.mouse.up()
    page.mouse.move(0, 0)
    assert points(page)[4] == pytest.approx(x[4] - 2, abs=0.02)
    assert points(page)[:4] == x[:4]
    assert number(page, "mean") == pytest.approx(mean - 2 / 8, abs=0.01)
    assert page.locator('[data-out="index"]').inner_text() == "₅"


@needs_browser
def test_a_finger_drags_a_point(open_page):
    page = open_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    before = points(page)
    page.locator("[data-index='4'] .bnpg-dot").scroll_into_view_if_needed()
    box = page.locator("[data-index='4'] .bnpg-dot").bounding_box()
    x, y = box["x"] + 8, box["y"] + 8
    session = page.context.new_cdp_session(page)
    for kind, dx in [("touchStart", 0), ("touchMove", 10), ("touchMove", 40), ("touchEnd", None)]:
        fingers = [] if dx is None else [{"x": x + dx, "y": y + dx}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    assert points(page)[4] > before[4] + 1.5
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.bnpg-hit')).touchAction") == "none"
    )
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.bnpg-picture')).touchAction")
        == "auto"
    )


@needs_browser
def test_points_answer_to_the_keyboard(open_page):
    page = open_page()
    point = page.locator("[data-index='1']")
    point.focus()
    for key, expected in [
        ("ArrowRight", 1.2), ("ArrowUp", 1.3), ("ArrowLeft", 1.2), ("Shift+ArrowDown", 0.2),
        ("PageUp", 1.2), ("PageDown", 0.2), ("Home", -8), ("ArrowLeft", -8), ("End", 10),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert points(page)[1] == pytest.approx(expected)
    assert point.get_attribute("aria-valuetext").startswith("10.00, x hat ")


@needs_browser
def test_every_slider_answers_to_the_keyboard(open_page):
    page = open_page()
    for name, key, expected in [
        ("gamma", "ArrowRight", "1.1"), ("beta", "ArrowLeft", "−0.1"), ("eps", "End", "10"),
        ("eps", "Home", "1e-8"), ("size", "End", "16"),
    ]:  # fmt: skip
        page.locator(f'[data-in="{name}"]').focus()
        page.keyboard.press(key)
        assert page.locator(f'[data-out="{name}"]').inner_text() == expected
        assert page.locator(f'[data-in="{name}"]').get_attribute("aria-valuetext") == expected
    assert len(points(page)) == 16


@needs_browser
def test_a_batch_of_two_is_normalized_to_minus_one_and_one_whatever_its_values(open_page):
    page = open_page()
    page.locator('[data-in="size"]').focus()
    page.keyboard.press("Home")
    assert sorted(x_hats(page)) == [-1, 1]
    page.locator("[data-index='0']").focus()
    page.keyboard.press("End")
    assert sorted(x_hats(page)) == [-1, 1]


@needs_browser
def test_an_outlier_pushes_the_others_together_and_stays_below_root_n_minus_one(open_page):
    page = open_page()
    before = x_hats(page)
    page.locator("[data-index='4']").focus()
    page.keyboard.press("End")
    after = x_hats(page)
    others = [i for i in range(8) if i != 4]
    spread = lambda values: max(values[i] for i in others) - min(values[i] for i in others)  # noqa: E731
    assert spread(after) < 0.8 * spread(before)
    assert before[4] < after[4] < 7**0.5


@needs_browser
def test_next_batch_updates_running_statistics_as_torch_does(open_page):
    page = open_page()
    layer = torch.nn.BatchNorm1d(1, dtype=torch.float64)
    for _ in range(7):
        page.get_by_role("button", name="next batch").click()
        layer(torch.tensor(points(page), dtype=torch.float64)[:, None])
        assert number(page, "running_mean") == pytest.approx(layer.running_mean.item(), abs=6e-4)
        assert number(page, "running_var") == pytest.approx(layer.running_var.item(), abs=6e-4)
    assert number(page, "num_batches_tracked") == layer.num_batches_tracked.item() == 7


@needs_browser
def test_eval_uses_the_running_statistics_and_leaves_them_alone(open_page):
    page = open_page()
    page.get_by_role("button", name="20 more").click()
    page.locator("[value=eval]").check()
    mean, variance = number(page, "running_mean"), number(page, "running_var")
    assert abs(mean - 3) < 0.8
    expected = [(x - mean) / (variance + 1e-5) ** 0.5 for x in points(page)]
    assert x_hats(page) == pytest.approx(expected, abs=0.006)
    before = x_hats(page)
    page.locator("[data-index='2']").focus()
    page.keyboard.press("PageUp")
    moved = [i for i, (a, b) in enumerate(zip(before, x_hats(page), strict=True)) if a != b]
    assert moved == [2]
    page.get_by_role("button", name="next batch").click()
    assert number(page, "running_mean") == mean
    assert number(page, "num_batches_tracked") == 20


@needs_browser
def test_reset_restores_the_first_state(open_page):
    page = open_page()
    shown = lambda: page.locator(".bnpg-main, .bnpg-sliders").all_inner_texts()  # noqa: E731
    before = shown(), points(page)
    page.get_by_role("button", name="20 more").click()
    page.locator('[data-in="gamma"]').fill("-2")
    page.locator('[data-in="size"]').fill("12")
    page.locator("[value=eval]").check()
    assert points(page) != before[1]
    page.get_by_role("button", name="reset").click()
    assert (shown(), points(page)) == before


@needs_browser
def test_two_on_a_page_do_not_disturb_each_other(open_page):
    page = open_page("two")
    page.wait_for_function("document.querySelectorAll('.bnpg-bar').length === 2")
    page.locator("[value=eval]").nth(1).check()
    page.locator('[data-in="beta"]').nth(1).fill("2")
    assert page.locator("[value=train]").first.is_checked()
    assert page.locator("[value=eval]").nth(1).is_checked()
    assert page.locator('[data-out="beta"]').all_inner_texts() == ["0.0", "2.0"]


@needs_browser
def test_playground_works_over_http(browser, site):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(site))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/one.html")
        page.wait_for_selector(".bnpg-bar")
        page.get_by_role("button", name="next batch").click()
        assert number(page, "num_batches_tracked") == 1
        page.close()
        server.shutdown()


@needs_browser
@pytest.mark.parametrize("width", [340, 390, 800, 1280])
def test_nothing_is_wider_than_the_page(open_page, width):
    for name in ("one", "far"):
        page = open_page(name, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@needs_browser
def test_print_shows_the_current_picture_and_numbers_without_controls(open_page):
    page = open_page(color_scheme="dark")
    page.locator('[data-in="gamma"]').fill("2")
    page.emulate_media(media="print")
    assert page.locator(".bnpg-picture").bounding_box()["height"] > 300
    assert page.locator('[data-out="gamma"]').inner_text() == "2.0"
    assert not page.locator("button").first.is_visible()
    assert not page.locator('[data-in="gamma"]').is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.bnpg')).color") == (
        "rgb(17, 17, 17)"
    )
    assert len(page.pdf()) > 10_000


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(open_page, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page("two", color_scheme=scheme, viewport={"width": width, "height": 900})
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    summary = [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found]
    assert not found, json.dumps(summary, indent=1)
