"""Search shows excerpts from the disk, too, where a page may not read the others.

Sphinx's search fetches each page that it found. ``_static/search_texts.js`` holds the text of every
page, and ``search_on_disk.js`` answers from it where the book was opened from the disk. (Jupyter
Book puts every script of the source's ``_static`` on every page; this one is for one page alone.)
"""

from __future__ import annotations

import json
import shutil
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

SEARCH = '<script src="_static/searchtools.js"></script>'
ANSWERS = '<script src="_static/search_on_disk.js"></script>\n  '
TEXTS: dict[str, str] = {}  # of the pages that were built


def outline(node: nodes.Node) -> str:
    """The text of a node as HTML that holds nothing but the places which search asks for."""
    if isinstance(node, nodes.Text):
        return escape(node, quote=False)
    if isinstance(node, (nodes.raw, nodes.comment)):
        return ""
    inner = "".join(map(outline, node.children)) + " " * (not isinstance(node, nodes.Inline))
    return f'<div id="{node["ids"][0]}">{inner}</div>' if node["ids"] else inner


def keep_text(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    TEXTS[docname] = f'<div role="main">{outline(doctree)}</div>'


def write_texts(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.name != "html":
        return
    texts = json.dumps(TEXTS, ensure_ascii=False, separators=(",", ":"))
    static = Path(app.outdir, "_static")
    (static / "search_texts.js").write_text(f"window.SEARCH_TEXTS = {texts};", encoding="utf-8")
    shutil.copy(Path(__file__).with_suffix(".js"), static)
    page = Path(app.outdir, "search.html")
    html = page.read_text(encoding="utf-8")
    page.write_text(html.replace(SEARCH, ANSWERS + SEARCH), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", keep_text)
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
