"""The link to a section of the book, for wherever it is shown: no click may leave an open notebook.

A section is named as ``"02_equations.ipynb#Which axes?"``.

- In a page of the site it is the chapter's page, at the heading.
- JupyterLab opens the chapter beside the notebook, where the link stands in an output of its own;
  the same link in a widget of HTML would reload all of JupyterLab. It scrolls to the heading only
  where the chapter is open, so the heading is scrolled to as soon as it is there.
- VS Code opens the chapter in a tab.
- Colab knows no neighbors: the published page opens in a new tab, as it does where the chapter does
  not lie beside the notebook.
- Where nothing is published there is no link, and the words name chapter and heading.
"""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from bnkit.book.page import in_jupyterlab, widget_home

__all__ = ["lab_anchor", "link", "site_anchor"]

REPOSITORY = re.compile(r"https://github\.com/([\w-]+)/([\w.-]+)")
PLACEHOLDER = "your-name"


def link(section: str, words: str) -> str:
    """The words as a link to the section, where there is something to open."""
    file, _, heading = section.partition("#")
    address, tab = _address(file, heading)
    if not address:
        return html.escape(words)
    more = ' target="_blank" rel="noopener"' if tab else ""
    if "#" in address and address.startswith(f"{quote(file)}#"):  # beside the notebook
        more = f' onclick="{html.escape(" ".join(_until_in_sight().split()))}"'
    return f'<a href="{html.escape(address)}"{more}>{html.escape(words)}</a>'


@cache
def _until_in_sight() -> str:
    """What JupyterLab runs at a click."""
    return files("bnkit.book").joinpath("static/reread.js").read_text(encoding="utf-8")


def _address(file: str, heading: str) -> tuple[str, bool]:
    """Where a link leads, and whether it needs a tab of its own."""
    page = f"{quote(file.removesuffix('.ipynb'))}.html#{site_anchor(heading)}"
    if widget_home() == "baked":
        return page, False
    beside = "google.colab" not in sys.modules and Path(file).is_file()
    if beside and in_jupyterlab():
        return f"{quote(file)}#{quote(lab_anchor(heading))}", False
    if beside:
        return quote(file), False
    site = published_site()
    return (f"{site}chapters/{page}", True) if site else ("", False)


def lab_anchor(heading: str) -> str:
    """What JupyterLab calls the place of a heading."""
    return re.sub(r"[`*]", "", heading).replace(" ", "-")


def site_anchor(heading: str) -> str:
    """What Sphinx calls the place of a heading."""
    plain = unicodedata.normalize("NFKD", heading.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-").lstrip("-0123456789")


@cache
def published_site() -> str:
    """Where GitHub Pages has the book, by the package's metadata; empty before it has a place."""
    try:
        urls = metadata("bnkit").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    found = next(filter(None, map(REPOSITORY.search, urls)), None)
    if found is None or found[1] == PLACEHOLDER:
        return ""
    host = f"{found[1].lower()}.github.io"
    return f"https://{host}/" if found[2].lower() == host else f"https://{host}/{found[2]}/"
