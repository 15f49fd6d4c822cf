"""What a widget is made of: HTML, one style, small pictures, a little script, and where it runs.

The outputs stand alone (no request, no shared state) and are the same bytes from run to run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from IPython.display import Markdown

__all__ = [
    "Html",
    "digest",
    "in_jupyterlab",
    "markdown_table",
    "picture",
    "png",
    "prose",
    "script",
    "style",
    "widget",
    "widget_home",
]


# JupyterLab's shortcuts look at the focused element itself for the attribute that holds them back.
_EVERY = """for (const root of document.querySelectorAll('[data-bnkit="KEY"]:not([data-on])')) {
  root.dataset.on = "";
  for (const element of root.querySelectorAll("input, button, summary"))
    element.dataset.lmSuppressShortcuts = "true";
  wire(root, structuredClone(data));
}"""


class Html:
    """An output as ``text/html``, with a ``text/plain`` for whoever cannot show it."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.source, "text/plain": self.text}


def digest(*parts: object) -> str:
    """Ten hexadecimal digits that depend on the content alone, to name a widget by."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def prose(text: str) -> str:
    r"""HTML of a line of text in which `` `code` `` and ``\( maths \)`` may occur."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return f'<span class="tex2jax_process mathjax_process">{marked}</span>'


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    """A table for the end of a cell: the words over the columns, then the cells of each row."""
    from IPython.display import Markdown  # only a notebook shows tables, and has it loaded

    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (heads, *rows)]
    lines.insert(1, "|---" * len(heads) + "|")
    return Markdown("\n".join(lines))


@cache
def _static(name: str) -> str:
    return (files("bnkit.book") / "static" / name).read_text(encoding="utf-8")


def style(*more: str) -> str:
    """The style element that all widgets share, with the rules of more files of ``static``."""
    text = "\n".join(map(_static, ("widgets.css", *more)))
    rules = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    rules = re.sub(r"\s+", " ", rules).strip()
    return f"<style>{rules}</style>"


def script(name: str, key: str, data: object) -> str:
    """A script element with a file of ``static`` that wires every new widget called `key`."""
    values = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    loop = _EVERY.replace("KEY", key)
    return f"<script>(() => {{\n{_static(name)}const data = {values};\n{loop}\n}})();</script>"


def widget(tag: str, kind: str, key: str, parts: Sequence[str], text: str) -> Html:
    """A widget of its parts, found by its script as `key`, with the style that all share."""
    body = "\n".join(part for part in (style(), *parts, _colab_maths(parts)) if part)
    attributes = f'class="bnkit bnkit-{kind}" data-bnkit="{key}"'
    return Html(f"<{tag} {attributes}>\n{body}\n</{tag}>", text)


def _colab_maths(parts: Sequence[str]) -> str:
    """Colab shows each output in a frame of its own, where nothing typesets maths; so load it."""
    if "google.colab" not in sys.modules or not any("\\(" in part for part in parts):
        return ""
    source = "https://www.gstatic.com/external_hosted/mathjax/latest/MathJax.js?config=default"
    return f'<script src="{source}"></script>'


def png(figure: Figure, colors: int | None = 48) -> bytes:
    """A figure as PNG of so many colors (None: all), without date or version; closes it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba()))  # (H, W, 4)
    plt.close(figure)
    if colors is not None:
        pixels = pixels.quantize(colors, method=Image.Quantize.FASTOCTREE)
    file = io.BytesIO()
    pixels.save(file, format="PNG", compress_level=1 if colors is None else 9)
    return file.getvalue()


def picture(data: bytes, alt: str) -> str:
    """An image element that holds its PNG; ``dark-light`` keeps the theme from dimming it."""
    width, height = Image.open(io.BytesIO(data)).size
    source = base64.b64encode(data).decode()
    return (
        f'<img class="dark-light" alt="{html.escape(alt)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{source}">'
    )


def widget_home() -> str:
    """Say whether widgets are ``"live"`` (a person sits at a kernel) or ``"baked"`` into the page.

    ``$BNKIT_WIDGETS`` decides where set; else live are JupyterLab, Colab and VS Code.
    """
    chosen = os.environ.get("BNKIT_WIDGETS", "")
    if chosen not in ("", "live", "baked"):
        raise ValueError(f"got BNKIT_WIDGETS={chosen!r}, expected 'live' or 'baked'")
    in_colab = "google.colab" in sys.modules
    return chosen or ("live" if in_jupyterlab() or in_colab or _in_vscode() else "baked")


def in_jupyterlab() -> bool:
    """Whether JupyterLab or Jupyter Notebook shows the outputs, and no other editor beside them."""
    other = "google.colab" in sys.modules or _in_vscode()
    return bool(os.environ.get("JPY_SESSION_NAME")) and not other


def _in_vscode() -> bool:
    """Whether VS Code's notebook editor started this kernel: it leaves the file's name there."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "__vsc_ipynb_file__" in shell.user_ns
