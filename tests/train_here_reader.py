"""What tests of "Train it here" share: its modules in a browser, and a reader's hands and eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chromium import ARGS, CHROMIUM

from bnkit.book.train_here_page import STATIC

IMPORT = """async source => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  globalThis.js = await import(url);
}"""
HEAD = (
    '<!doctype html><html lang="en" data-content_root="../"><meta charset="utf-8">'
    "<title>Train</title>"
    '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
    "<style>body{font:16px sans-serif;margin:10px;color:#222;background:#fff}a{color:#0050a0}"
    "@media (prefers-color-scheme:dark){body{color:#ced6dd;background:#14181e}a{color:#8ac4ff}}"
    "</style><main><h1>Train</h1>"
)
SMALL = {"depth": 1, "width": 32, "batch": 8}


@contextmanager
def launched() -> Iterator:
    """Chromium, which tells its memory and collects its garbage when asked."""
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium, or name it in $CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api")
    flags = [*ARGS, "--js-flags=--expose-gc", "--enable-precise-memory-info"]
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def modules(*names: str) -> str:
    """The sources of some modules as one module that exports what each exports."""
    texts = ((STATIC / f"train_here_{name}.js").read_text(encoding="utf-8") for name in names)
    return "\n".join(re.sub(r"^import .*;$", "", text, flags=re.MULTILINE) for text in texts)


class Reader:
    """A page, and what its reader does and sees."""

    def __init__(self, page, requests):
        self.page, self.requests = page, requests

    def button(self, name, which=0):
        return self.page.get_by_role("button", name=name, exact=True).nth(which)

    def begin(self, which=0):
        self.page.get_by_role("button", name="Open the two networks").nth(which).click()
        self.button("One step", which).wait_for()
        return self

    def press(self, name, step, which=0):
        self.button(name, which).click()
        return self.wait(step, which)

    def wait(self, step, which=0):
        code = """([step, which]) => {
          const text = document.querySelectorAll("[data-out=step]")[which].textContent;
          const canvas = document.querySelectorAll(".bntr")[which].querySelector("canvas");
          return Number(text.replace(/\\D/g, "")) === step && canvas.width > 300;
        }"""
        self.page.wait_for_function(code, arg=[step, which], timeout=120_000)
        return self

    def run_to(self, step):
        self.button("Start").click()
        code = """step => {
          const text = document.querySelector("[data-out=step]").textContent;
          return Number(text.replace(/\\D/g, "")) >= step;
        }"""
        self.page.wait_for_function(code, arg=step, timeout=120_000)
        return self.pause()

    def pause(self):
        self.button("Pause").click()
        self.page.wait_for_function("!document.querySelector('[data-out=rate]').textContent")
        return self

    def choose(self, name, value):
        self.page.locator(f'[data-set="{name}"]').select_option(value)
        return self

    def step(self):
        return int(re.sub(r"\D", "", self.page.locator("[data-out=step]").first.inner_text()))

    def seen(self):
        """All that is drawn and written of both networks."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll(".bntr svg, .bntr canvas, [data-out=numbers]")]
              .map((e) => [e.getAttribute("aria-label"), e.innerHTML, e.toDataURL?.()].join())"""
        )

    def status(self):
        return self.page.locator("[role=status]").first.inner_text()
