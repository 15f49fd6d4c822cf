"""Print the book as one PDF, with bookmarks and working links between its pages.

Usage: python scripts/print_book.py SINGLE_PAGE PDF

SINGLE_PAGE is the index.html that Sphinx's singlehtml builder wrote. Headless Chromium prints it:
solutions are unfolded, sliders give way to the figure that they show.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
NUMBER = (
    "<p style='width: 100%; text-align: center; font-size: 8px'><span class='pageNumber'></span>"
)
MINUTES_10 = 600_000  # milliseconds
PREPARE = """async () => {
  await MathJax.startup.promise;
  document.querySelectorAll("details:not(.hide)").forEach((part) => (part.open = true));
  for (const link of document.querySelectorAll("a[href]")) {
    const address = link.getAttribute("href");
    const found = address.match(/^(?:\\.\\.\\/)?((?:chapters\\/)?[\\w-]+)\\.html(#.+)?$/);
    if (!found) continue;
    const name = found[1].includes("/") || found[1] === "index" ? found[1] : `chapters/${found[1]}`;
    link.setAttribute("href", found[2] ?? `#document-${name}`);
  }
  // Sphinx put each chapter under the title of the book: raise its headings by one.
  for (const heading of document.querySelectorAll(".toctree-wrapper :is(h2, h3, h4, h5, h6)")) {
    const raised = document.createElement(`h${heading.tagName[1] - 1}`);
    raised.append(...heading.childNodes);
    heading.replaceWith(raised);
  }
  await Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().catch(() => {});
  }));
}"""
PRINTED = """
  html { font-size: 13px; }
  .bd-header, .bd-sidebar-primary, .bd-sidebar-secondary, .header-article, .prev-next-footer,
  .bd-footer, .search-button, .copybtn, .toggle-button, .headerlink, details.hide:not([open]),
  input[type=range] { display: none !important; }
  .bd-container, .bd-container__inner, .bd-main, .bd-content, .bd-article-container, .bd-article {
    display: block !important; box-sizing: border-box !important; float: none !important;
    width: 100% !important; max-width: 100% !important; min-height: 0 !important;
    margin: 0 !important; padding: 0 !important;
  }
  pre { white-space: pre-wrap !important; overflow: visible !important; }
  figure, fieldset, .cell_input, .highlight, .cell_output img, table, mjx-container[display=true] {
    break-inside: avoid;
  }
  .toctree-wrapper h1 {
    display: block !important; break-before: page; margin-top: 0 !important; font-size: 1.6em;
  }
  .toctree-wrapper h2 { font-size: 1.3em; }
  h1, h2, h3 { break-after: avoid; }
"""


def chromium() -> str:
    """Find the browser."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if not found:
        raise SystemExit("make pdf needs Chromium: install it, or name it in $CHROMIUM")
    return found


def print_book(page_file: Path, pdf: Path) -> None:
    """Let Chromium print the single page."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGS)
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(MINUTES_10)
        page.goto(page_file.resolve().as_uri(), wait_until="load")
        page.evaluate(PREPARE)
        page.add_style_tag(content=PRINTED)
        page.emulate_media(media="print", color_scheme="light")
        pdf.parent.mkdir(parents=True, exist_ok=True)
        margin = dict.fromkeys(("top", "bottom", "left", "right"), "18mm")
        foot = {"display_header_footer": True, "header_template": "<p>", "footer_template": NUMBER}
        page.pdf(path=pdf, format="A4", margin=margin, outline=True, tagged=True, **foot)
        browser.close()


if __name__ == "__main__":
    print_book(Path(sys.argv[1]), Path(sys.argv[2]))
