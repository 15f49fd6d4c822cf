"""The built site in headless Chromium: a local server, a browser, and what one visit finds."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, sync_playwright

ROOT = Path(__file__).parents[1]
SITE = (ROOT / os.environ.get("BOOK_SITE", "_build/html")).resolve()
NO_CHROMIUM = (
    "BROWSER TESTS SKIPPED: there is no Chromium on PATH and none is named by $CHROMIUM. "
    "On Debian: apt-get install chromium"
)
NO_SITE = "the book is not built: run `make book` first"
WIDTHS = {"phone": 390, "desktop": 1280}
SCHEMES = ("light", "dark")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# All rules once; what differs on a dark phone once more.
AXE_RULES = {
    (1280, "light"): ["all"],
    (390, "dark"): ["color-contrast", "scrollable-region-focusable"],
}

# What repeats within a page and is the same on all: typeset mathematics, the colors of code (which
# have their own test) and all but a few entries of the reference. It took axe minutes.
PRUNE = """() => {
  document.querySelectorAll('mjx-container').forEach(e => e.replaceWith('x'));
  document.querySelectorAll('.highlight pre').forEach(e => e.replaceChildren(e.textContent));
  document.querySelectorAll('dl.py:nth-of-type(n + 4)').forEach(e => e.remove());
}"""

# Found by axe in every page of the theme, and harmless; everything else fails the test.
AXE_BASELINE = {
    "landmark-unique": "the theme's two tables of contents are both plain <nav>s",
    "landmark-complementary-is-top-level": "the theme puts the sidebar inside <main>",
    "region": "the theme's skip link and search dialog stand outside the landmarks",
    "heading-order": "a notebook's outputs and sphinx-design cards may skip a level",
    "landmark-no-duplicate-contentinfo": "the theme has three footers",
    "landmark-contentinfo-is-top-level": "and puts them inside <main>",
    "empty-table-header": "the corner cell of a table of numbers",
}

READY = """async () => {
  await (window.MathJax?.startup?.promise ?? Promise.resolve());
  await document.fonts.ready;
}"""

# What the page's prose shows a reader: no code, no typeset mathematics.
PROSE = """() => {
  const copy = document.querySelector('main').cloneNode(true);
  const hidden = 'pre, code, script, style, mjx-container, svg, textarea';
  copy.querySelectorAll(hidden).forEach(e => e.remove());
  return copy.textContent;
}"""

MATH_ERRORS = """() => [
    ...document.querySelectorAll('mjx-merror, [data-mjx-error], .bd-article .math')]
  .filter(e => !e.matches('.math') || !e.querySelector('mjx-container'))
  .map(e => e.getAttribute('data-mjx-error') || e.textContent.slice(0, 80))"""

BROKEN_IMAGES = """() => [...document.images]
  .filter(i => !i.complete || !i.naturalWidth).map(i => i.src.slice(0, 80))"""

ALT_TEXTS = """() => [...document.querySelectorAll('.bd-article img')]
  .filter(i => !i.closest('[aria-hidden=true]')).map(i => i.alt)"""

OVERFLOWING = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll('.bd-article *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`).slice(0, 5)
    .concat(`page is ${document.documentElement.scrollWidth} wide`)"""

# Tables of the text that must be pushed sideways to be read; numbers that code printed may.
CUT_TABLES = """() => [...document.querySelectorAll('.bd-article table')]
  .filter(table => !table.closest('.cell_output')).filter(table => {
    const box = table.closest('.pst-scrollable-table-container') || table.parentElement;
    return box.scrollWidth > box.clientWidth + 1;
  }).map(table => table.textContent.trim().slice(0, 80))"""

OPEN_FOLDS = """() => document.querySelectorAll('.bd-article details')
  .forEach(fold => { fold.open = true; })"""

# Code and printed output of which a part is out of sight.
CUT_TEXT = """selector => [...document.querySelectorAll(selector)].filter(pre => {
  for (let box = pre; !box.matches('.bd-article'); box = box.parentElement)
    if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== 'visible')
      return true;
  return pre.scrollWidth > pre.clientWidth + 1;
}).map(pre => pre.textContent.trim().slice(0, 80))"""
# Lines that wrap and whose rest is not indented further than their beginning.
NOT_HANGING = """selector => [...document.querySelectorAll(selector)].flatMap(pre => {
  const walk = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT), found = [];
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    for (const line of text.data.matchAll(/[^\\n]+/g)) {
      const range = new Range();
      range.setStart(text, line.index);
      range.setEnd(text, line.index + line[0].length);
      const [first, ...others] = range.getClientRects();
      const next = others.find(box => box.top > first.top + 1);
      if (next && next.left < first.left + 8) found.push(line[0]);
    }
  }
  return found;
})"""
CODE = ".bd-article pre"
PRINTED = ".bd-article .output:is(.stream, .text_plain, .stderr, .traceback) pre"

# How tall the labels of 11 px are shown in each figure that a cell drew, as far as it is visible.
LABEL_SIZES = """() => [...document.querySelectorAll('.bd-article .cell_output img')]
  .filter(i => !i.closest('.bnpg') && i.checkVisibility())
  .map(i => [i.alt, 11 * i.getBoundingClientRect().width / i.naturalWidth])"""

# Of figures in parts: what is seen of each, as shares of the window, and its alternative text.
PANELS = """() => [...document.querySelectorAll('.panels')].map(figure =>
  [...figure.querySelectorAll('img')].map(i => ({
    alt: i.alt, hidden: !!i.closest('[aria-hidden=true]'), shown: i.checkVisibility(),
    height: i.closest('.crop').getBoundingClientRect().height,
  })))"""

# Boxes around outputs and figures whose ground is much paler than the dark page.
PALE_BOXES = """() => [...document.querySelectorAll(
    '.bd-article :is(.cell, figure, table, .admonition), .bd-article img, ' +
    '.bd-article :is(.cell, figure, table, .admonition) *')]
  .filter(e => !e.closest('svg, button, input, mjx-container')).filter(e => {
    const color = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g) || [];
    const [r, g, b, a = 1] = color.map(Number);
    return a > 0.5 && (r + g + b) / 3 > 110;
  }).map(e => `${e.tagName}.${e.className}`).slice(0, 5)"""


def chromium() -> str | None:
    """Where Chromium is, if anywhere."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def pages() -> list[str]:
    """Every page of the book, as paths below the site."""
    found = (path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return sorted(name for name in found if not name.startswith("_static/"))


@dataclass
class Visit:
    """What one page showed and asked for."""

    requests: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)  # console errors, exceptions, failed requests
    math_errors: list[str] = field(default_factory=list)
    broken_images: list[str] = field(default_factory=list)
    alt_texts: list[str] = field(default_factory=list)
    overflowing: list[str] = field(default_factory=list)
    cut_tables: list[str] = field(default_factory=list)
    pale_boxes: list[str] = field(default_factory=list)
    prose: str = ""
    faults: list[str] = field(default_factory=list)  # what axe finds, where it looked

    def strangers(self) -> list[str]:
        """Requests to anything but the page's own site."""
        own = ("http://127.0.0.1:", "file:", "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own)]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a local server for a folder."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


def block_strangers(route: Route) -> None:
    host = urlsplit(route.request.url).hostname
    route.abort() if host not in (None, "", "127.0.0.1") else route.continue_()


def open_context(browser: Browser, width: int, scheme: str) -> BrowserContext:
    """A window of that width whose reader prefers that scheme; other hosts do not answer."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.route("**/*", block_strangers)
    return context


def listen(page: Page, visit: Visit) -> None:
    """Write down requests and trouble from now on."""

    def failed(request: Request) -> None:
        visit.trouble.append(f"failed: {request.url[:120]} {request.failure}")

    page.on("request", lambda request: visit.requests.append(request.url))
    page.on("requestfailed", failed)
    page.on(
        "response",
        lambda r: visit.trouble.append(f"{r.status} {r.url}") if r.status >= 400 else None,
    )
    page.on("pageerror", lambda error: visit.trouble.append(f"exception: {error}"))
    page.on(
        "console",
        lambda m: visit.trouble.append(m.text) if m.type in ("error", "warning") else None,
    )


def open_page(page: Page, url: str) -> Page:
    """Go there and wait until the mathematics is typeset."""
    page.goto(url, wait_until="load")
    page.evaluate(READY)
    return page


def measure(page: Page, visit: Visit) -> Visit:
    """Note everything about an open page that the tests ask about."""
    visit.math_errors = page.evaluate(MATH_ERRORS)
    visit.broken_images = page.evaluate(BROKEN_IMAGES)
    visit.alt_texts = page.evaluate(ALT_TEXTS)
    visit.overflowing = page.evaluate(OVERFLOWING)
    visit.cut_tables = page.evaluate(CUT_TABLES)
    visit.pale_boxes = page.evaluate(PALE_BOXES)
    visit.prose = page.evaluate(PROSE)
    return visit


def look(page: Page, url: str) -> dict[str, Visit]:
    """Open a page and look at it in light and in dark; both share the list of requests."""
    first = Visit()
    listen(page, first)
    open_page(page, url)
    seen = {}
    for scheme in SCHEMES:
        prefer(page, scheme)
        seen[scheme] = measure(page, Visit(first.requests, first.trouble))
    page.evaluate(PRUNE)
    for scheme in SCHEMES:
        if rules := AXE_RULES.get((page.viewport_size["width"], scheme)):
            prefer(page, scheme)
            seen[scheme].faults = accessibility_faults(page, rules)
    return seen


def prefer(page: Page, scheme: str) -> None:
    """Let the reader's system turn light or dark."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_selector(f"html[data-theme={scheme}]")


def accessibility_faults(page: Page, rules: list[str], within: str = "html") -> list[str]:
    """What axe finds beyond the baseline, by the rules named; it fetches nothing (``preload``)."""
    options: dict = {"preload": False, "resultTypes": ["violations"]}
    if rules != ["all"]:
        options["runOnly"] = {"type": "rule", "values": rules}
    results = Axe().run(page, context=within, options=options)
    return [
        f"{fault['id']}: {node['target']} {' '.join(node['html'].split())[:120]}"
        for fault in results.response["violations"]
        if fault["id"] not in AXE_BASELINE
        for node in fault["nodes"]
    ]
