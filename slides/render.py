"""A slide as HTML: Markdown and code as the notebook has them, its outputs as they are."""

from __future__ import annotations

import html
import re

from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from slides.choose import Slide, html_of, printed_by

DECK = re.compile(r"\]\((\d\d_\w+)\.ipynb(?:#[^)]*)?\)")
NEIGHBOR = re.compile(r"\[([^\]]+)\]\((?!https?:|\d\d_\w+\.html)[^)]*\)")
SECTION = re.compile(
    r"(?<=<)section\b|(?<=</)section\b|(?<=[\s,>])section(?= *[,{>])"
)  # reveal.js's
ANCHOR = re.compile(r'<a class="anchor-link".*?</a>')
PAGE = """<!doctype html>
<html lang="en" data-content_root="">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · slides</title>
<link rel="stylesheet" href="reveal/dist/reveal.css">
<link rel="stylesheet" href="reveal/dist/theme/white.css">
<link rel="stylesheet" href="deck.css">
<style>{pygments}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<p class="deck-foot"><a href="index.html">{book}</a> · {title}</p>
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script src="deck.js"></script>
<script src="mathjax/{mathjax}"></script>
</body>
</html>
"""


def page(number: int, slides: list[Slide], book: str, mathjax: str) -> str:
    """The page of a chapter's deck."""
    title = f"{number}. {plain(slides[0].title)}"
    pygments = HtmlFormatter(style="default").get_style_defs(".highlight")
    shown = "\n".join(section(slide, f"Chapter {number}") for slide in slides)
    return PAGE.format(
        title=html.escape(title), slides=shown, book=html.escape(book), pygments=pygments,
        mathjax=mathjax,
    )  # fmt: skip


def section(slide: Slide, label: str) -> str:
    """A slide: its heading, its exhibit, the sentences that go with it, and the speaker's notes."""
    level = "h1" if slide.kind == "title" else "h2"
    heading = f"<{level}>{inline(slide.title)}</{level}>"
    parts = [heading, f'<div class="exhibit">{body(slide)}</div>']
    if slide.says:
        parts.append(f'<div class="says">{"".join(map(markdown, slide.says))}</div>')
    if slide.notes:
        parts.append(f'<aside class="notes">{markdown(slide.notes)}</aside>')
    kind = f'class="deck-{slide.kind}" data-kind="{slide.kind}" data-label="{label}"'
    return f"<section {kind}>\n" + "\n".join(parts) + "\n</section>"


def body(slide: Slide) -> str:
    """The exhibit of a slide."""
    if isinstance(slide.exhibit, str):
        return slide.exhibit if slide.kind == "check" else markdown(slide.exhibit)
    if slide.kind == "figure":
        return figure(slide.exhibit)
    if slide.kind == "code":
        return code(slide.exhibit.source)
    if slide.kind == "run":
        return f"{code(slide.exhibit.source)}<pre>{html.escape(printed_by(slide.exhibit))}</pre>"
    return without_sections(html_of(slide.exhibit))


def without_sections(source: str) -> str:
    """A widget whose parts reveal.js does not take for slides."""
    return SECTION.sub("deck-part", source)


def figure(cell: NotebookNode) -> str:
    """The pictures of a cell, with the alt text and the caption that the chapter gives them."""
    told = cell.metadata.get("mystnb", {})
    alt = html.escape(told.get("image", {}).get("alt", ""))
    caption = told.get("figure", {}).get("caption", "")
    data = [output.get("data", {}).get("image/png") for output in cell.outputs]
    sources = ["".join(png).replace("\n", "") for png in data if png]
    pictures = "".join(f'<img alt="{alt}" src="data:image/png;base64,{src}">' for src in sources)
    words = f"<figcaption>{markdown(caption)}</figcaption>" if caption else ""
    return f"<figure>{pictures}{words}</figure>"


def code(source: str) -> str:
    """Python, colored."""
    lines = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
    return f'<div class="highlight"><pre>{lines}</pre></div>'


def markdown(text: str) -> str:
    """HTML of Markdown; a link to another chapter leads to its deck, other neighbors have none."""
    text = NEIGHBOR.sub(r"\1", DECK.sub(r"](\1.html)", text))
    return ANCHOR.sub("", markdown2html(text))


def inline(text: str) -> str:
    """The same for one line, without its paragraph."""
    return re.sub(r"^<p>|</p>$", "", markdown(text).strip())


def plain(text: str) -> str:
    """A heading without its marks."""
    return re.sub(r"[`*]", "", text)
