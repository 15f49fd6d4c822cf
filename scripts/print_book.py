"""Print the book as one PDF, with bookmarks and working links between its pages.

Usage: python scripts/print_book.py SINGLE_PAGE PDF

SINGLE_PAGE is the index.html that Sphinx's singlehtml builder wrote. Headless Chromium prints it:
solutions are unfolded, sliders give way to the figure that they show, the answers to a chapter's
questions stand behind it. It prints twice: the first time tells the pages of the contents.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader

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
  // A page cannot be asked: number the questions of a chapter, and answer them behind it.
  for (const chapter of document.querySelectorAll(".toctree-wrapper > section")) {
    const answers = document.createElement("section");
    for (const quiz of chapter.querySelectorAll(".bnkit-quiz")) {
      const reasons = quiz.querySelector("details > ul");
      const number = answers.childElementCount + 1;
      quiz.querySelector("legend").prepend(`Question ${number}. `);
      const entry = document.createElement("div");
      entry.className = "bnkit-answers";
      const name = document.createElement("p");
      name.append(`Question ${number}`);
      entry.append(name, reasons);
      answers.append(entry);
    }
    if (!answers.childElementCount) continue;
    const heading = document.createElement("h3"); // raised by one below
    heading.append("Answers to the questions");
    answers.prepend(heading);
    chapter.append(answers);
  }
  // What counts presses of a reader has no place on paper, nor the line that announces it.
  document.querySelectorAll(".bnkit-progress, .bnkit-state").forEach((part) => part.remove());
  for (const lead of document.querySelectorAll("p > strong:first-child")) {
    if (lead.textContent === "Where you stand.") lead.parentElement.remove();
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
NUMBER_CONTENTS = """(pages) => {
  for (const link of document.querySelectorAll(".section-nav a, nav.contents a")) {
    const page = pages[link.textContent.replace(/\\s/g, "")];
    if (page) link.dataset.page = page;
  }
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
  .section-nav a[data-page] { display: flex; gap: 0.5em; }
  .section-nav a[data-page]::before { content: ""; order: 1; flex: 1; border-bottom: 1px dotted; }
  .section-nav a[data-page]::after { content: attr(data-page); order: 2; }
  .bnkit-answers > p { margin: 0.6em 0 0; font-weight: bold; break-after: avoid; }
  .bnkit-quiz details { display: none !important; }
  .sd-row { display: block !important; }
  .sd-col { display: inline-block !important; width: 49% !important; vertical-align: top; }
  .sd-card, .bnkit-answers li { break-inside: avoid; }
  figure, fieldset, .cell_input, .highlight, .cell_output img, table, mjx-container[display=true] {
    break-inside: avoid;
  }
  .toctree-wrapper h1 {
    display: block !important; break-before: page; margin-top: 0 !important; font-size: 1.6em;
  }
  .toctree-wrapper h2 { font-size: 1.3em; }
  table:has(tr:nth-child(16)) { break-inside: auto; } /* longer than a page */
  tr { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; break-inside: avoid; }
  details > summary { break-after: avoid; }
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
        pages = numbers_of(PdfReader(io.BytesIO(printed(page))))
        page.evaluate(NUMBER_CONTENTS, pages)
        pdf.parent.mkdir(parents=True, exist_ok=True)
        pdf.write_bytes(printed(page))
        browser.close()


def printed(page: Page) -> bytes:
    """The PDF of a page that is ready."""
    margin = dict.fromkeys(("top", "bottom", "left", "right"), "18mm")
    foot = {"display_header_footer": True, "header_template": "<p>", "footer_template": NUMBER}
    return page.pdf(format="A4", margin=margin, outline=True, tagged=True, **foot)


def numbers_of(reader: PdfReader) -> dict[str, int]:
    """The page, from 1, on which each bookmark of the first rank lies."""
    marks = [item for item in reader.outline if not isinstance(item, list)]
    names = ["".join(mark.title.split()) for mark in marks]  # a bookmark may lack a space
    pages = [reader.get_destination_page_number(mark) + 1 for mark in marks]
    return dict(zip(names, pages, strict=True))


if __name__ == "__main__":
    print_book(Path(sys.argv[1]), Path(sys.argv[2]))
