"""Figures that keep their labels legible on a phone.

A figure of a chapter is up to 770 px wide with labels of 11 px: shrunk to a phone they would be
5 px tall. So at build each picture that a cell puts out is looked at, and book.css shows it on a
narrow screen in one of two ways; on a desktop and on paper it stays as it is.

- Where fully blank columns part its panels it is cut there, and the parts are shown below each
  other: the same file several times, each time cropped. If the panels share the numbers beside the
  left one, these are repeated beside the right one. The first part bears the alternative text.
- Else it stays as wide as labels of 9 px need, in a box that scrolls sideways. So does the picture
  within a widget, whose frames change in place.
"""

from __future__ import annotations

import html
import re
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util import logging

LABELS, LEGIBLE = 11, 9  # px: the labels as drawn, and the least that is shown
NARROW = 400  # px: what is no wider fits a phone with legible labels
WIDE = 1.9  # width over height of a figure that may be cut
GAP = 4  # px of blank between panels
MIDDLE = (0.44, 0.56)  # where a figure of two halves may be cut, as parts of its width
Span = tuple[int, int]


WIDGET_IMAGE = re.compile(
    r'<img class="dark-light" alt="(?P<alt>[^"]*)" width="(?P<width>\d+)"[^>]*>'
)


class Picture(NamedTuple):
    """Which pixels of a picture are not fully transparent."""

    width: int
    height: int
    ink: bytes

    @classmethod
    def read(cls, path: Path) -> Picture:
        with Image.open(path) as image:
            alpha = image.convert("RGBA").getchannel("A")
        return cls(*alpha.size, alpha.tobytes())

    def blanks(self) -> list[Span]:
        """The stretches of blank columns, but for the margins."""
        empty = [not any(self.ink[x :: self.width]) for x in range(self.width)]
        spans = [[*group] for _, group in groupby(range(self.width), empty.__getitem__)]
        inner = (span for span in spans[1:-1] if empty[span[0]] and len(span) >= GAP)
        return [(span[0], span[-1] + 1) for span in inner]

    def spine(self, span: Span) -> tuple[int, Span] | None:
        """The first column of a span with a line of half the picture's height, and its rows."""
        for x in range(*span):
            row = 0
            for full, run in groupby(self.ink[x :: self.width], bool):
                start, row = row, row + len([*run])
                if full and row - start >= self.height // 2:
                    return x, (start, row)
        return None

    def ink_before(self, span: Span, rows: Span) -> int:
        """How many columns of a span follow its first one with ink in those rows."""
        lines = [self.ink[y * self.width :][span[0] : span[1]] for y in range(*rows)]
        return max(len(line.lstrip(b"\0")) for line in lines)

    def has_axis(self, span: Span) -> bool:
        """Whether some row of a span is filled over a fifth of it, as no row of text is."""
        least = (span[1] - span[0]) // 5
        rows = (self.ink[y * self.width :][span[0] : span[1]] for y in range(self.height))
        return any(b and len([*run]) >= least for row in rows for b, run in groupby(row, bool))


def center(span: Span) -> int:
    return sum(span) // 2


def parts(picture: Picture) -> list[list[Span]]:
    """The parts below each other, each one or two stretches of columns; one part: not to be cut."""
    width, blanks = picture.width, picture.blanks()
    whole = [[(0, width)]]
    if width <= NARROW or width / picture.height <= WIDE:
        return whole
    within = [span for span in blanks if MIDDLE[0] < center(span) / width < MIDDLE[1]]
    if within:
        gap = max(within, key=lambda span: span[1] - span[0])  # the others part labels
        cut = center(gap)
        left, right = (0, cut), (cut, width)
        if not (picture.has_axis(left) and picture.has_axis(right)):
            return whole
        return [[left], [*shared_labels(picture, blanks, gap), right]]
    if len(blanks) >= 4:  # a row of small pictures: two by two
        cuts = [0, *(center(span) for span in blanks[1::2]), width]
        if max(b - a for a, b in pairwise(cuts)) <= NARROW:
            return [[span] for span in pairwise(cuts)]
    return whole


def shared_labels(picture: Picture, blanks: list[Span], gap: Span) -> list[Span]:
    """The labels beside the left panel, if the right one's axis has none of its own."""
    left, right = picture.spine((0, gap[0])), picture.spine((gap[1], picture.width))
    if left is None or right is None:
        return []
    if picture.ink_before((gap[1], right[0]), right[1]) > LABELS:
        return []
    before = [span for span in blanks if span[1] <= left[0]]
    return [(0, center(before[-1]))] if before else []


class panels(nodes.General, nodes.Element):  # noqa: N801 - a node is named in lower case
    """A figure in parts."""


class panel(nodes.General, nodes.Element):  # noqa: N801
    """One part: one or two crops beside each other."""


class crop(nodes.General, nodes.Element):  # noqa: N801
    """A picture of which only some columns are seen."""


class wide_figure(nodes.General, nodes.Element):  # noqa: N801
    """A picture that scrolls sideways on a phone."""


def open_panel(self: nodes.NodeVisitor, node: panel) -> None:
    side = f' data-side="{node["side"]}"' if node["side"] else ""
    hidden = ' aria-hidden="true"' if node["again"] else ""
    self.body.append(f'<div class="panel" style="width: {node["share"]:.2%}"{side}{hidden}>')


def open_crop(self: nodes.NodeVisitor, node: crop) -> None:
    (a, b), whole, height = node["span"], node["width"], node["height"]
    style = f"flex: {b - a} 1 1px; aspect-ratio: {b - a} / {height}; "
    style += f"--whole: {whole / (b - a):.3%}; --shift: {-a / (b - a):.3%}"
    self.body.append(f'<span class="crop" style="{style}">')


def wide_box(width: int, title: str, kind: str = "wide-figure") -> str:
    """The start of a box in which a picture keeps labels that can be read."""
    least = -(-width * LEGIBLE // LABELS)
    label = html.escape("Wide figure: " + title)
    return f'<div class="{kind}" role="region" aria-label="{label}" style="--least: {least}px">'


def open_wide(self: nodes.NodeVisitor, node: wide_figure) -> None:
    self.body.append(wide_box(node["width"], node["title"], "wide-figure output"))


def box_widget_image(found: re.Match[str]) -> str:
    """A widget's picture in such a box, if it is wider than a phone."""
    if int(found["width"]) <= NARROW:
        return found[0]
    box = wide_box(int(found["width"]), title_of(html.unescape(found["alt"])))
    return f"{box}{found[0]}</div>"


def title_of(caption: str) -> str:
    """The first phrase of a caption."""
    return re.split(r"(?<=[.:;])\s", caption)[0].rstrip(".:;")


def close(tag: str):
    return lambda self, node: self.body.append(f"</{tag}>")


def as_parts(image: nodes.image, picture: Picture, rows: list[list[Span]], caption: str) -> panels:
    """The picture once for each stretch of columns."""
    widths = [sum(b - a for a, b in row) for row in rows]
    sided = len(rows) == 2 and re.search(r"\b(left|right)\b", caption, re.IGNORECASE)
    sides = ("left", "right") if sided else [""] * len(rows)
    figure = panels()
    for i, (row, width, side) in enumerate(zip(rows, widths, sides, strict=True)):
        part = panel(side=side, again=i > 0, share=width / max(widths))
        for span in row:
            same = image.deepcopy()
            if i:
                same["alt"], same["ids"] = "", []
            part += crop("", same, span=span, width=picture.width, height=picture.height)
        figure += part
    return figure


def arrange(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Wrap the pictures that the cells of a page put out."""
    if app.builder.format != "html":
        return
    cells = doctree.findall(lambda n: "cell_output" in n.get("classes", []) if is_box(n) else False)
    cells = list(cells)
    for output in [output for cell in cells for output in cell.findall(nodes.raw)]:
        boxed = WIDGET_IMAGE.sub(box_widget_image, output.astext())
        output.children = [nodes.Text(boxed)]
    for image in [image for cell in cells for image in cell.findall(nodes.image)]:
        path = Path(app.srcdir, image["uri"])
        if path.suffix != ".png":
            continue
        if not path.is_file():
            logging.getLogger(__name__).warning("no picture at %s", path, location=docname)
            continue
        picture = Picture.read(path)
        rows = parts(picture)
        captions = image.parent.findall(nodes.caption)
        caption = next((c.astext() for c in captions), image.get("alt", ""))
        if len(rows) > 1:
            image.replace_self(as_parts(image, picture, rows, caption))
        elif picture.width > NARROW:
            box = wide_figure(title=title_of(caption), width=picture.width)
            image.replace_self(box)
            box += image


def is_box(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container)


def setup(app: Sphinx) -> dict[str, bool]:
    opening = (lambda self, node: self.body.append('<div class="panels">'), close("div"))
    app.add_node(panels, html=opening)
    app.add_node(panel, html=(open_panel, close("div")))
    app.add_node(crop, html=(open_crop, close("span")))
    app.add_node(wide_figure, html=(open_wide, close("div")))
    app.connect("doctree-resolved", arrange)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
