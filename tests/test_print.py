"""The book on paper and in one file: a PDF with bookmarks and links, a zip that needs no server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The PDF of the book, read back."""
    pypdf = pytest.importorskip("pypdf")
    if not (os.environ.get("CHROMIUM") or shutil.which("chromium")):
        pytest.skip("no Chromium: apt-get install chromium, or name it in $CHROMIUM")
    out = tmp_path_factory.mktemp("print")
    build = "from jupyter_book.cli.main import main; main()"
    arguments = ["build", ".", "--path-output", out, "--builder", "singlehtml", "--quiet"]
    subprocess.run([sys.executable, "-c", build, *arguments], cwd=ROOT, check=True)
    page = out / "_build" / "singlehtml" / "index.html"
    load_script("print_book").print_book(page, out / "book.pdf")
    return pypdf.PdfReader(out / "book.pdf")


def links(reader) -> list:
    found = []
    for page in reader.pages:
        notes = [note.get_object() for note in page.get("/Annots") or []]
        found += [note for note in notes if note.get("/Subtype") == "/Link"]
    return found


def test_every_chapter_has_a_bookmark(reader) -> None:
    def titles(items):
        for item in items:
            yield from titles(item) if isinstance(item, list) else [item.title]

    listed = list(titles(reader.outline))
    for number in range(1, len(NOTEBOOKS) + 1):
        assert [title for title in listed if title.startswith(f"{number}. ")], f"chapter {number}"


def test_links_of_the_pdf_lead_into_it_or_to_the_web(reader) -> None:
    inside = [note for note in links(reader) if "/Dest" in note or "/D" in note.get("/A", {})]
    web = [note["/A"]["/URI"] for note in links(reader) if "/URI" in note.get("/A", {})]
    assert len(inside) > 100
    assert not [address for address in web if not address.startswith("http")]


def test_the_first_page_holds_the_title_and_widgets_their_figures(reader) -> None:
    assert "Batch Normalization, Measured" in reader.pages[0].extract_text()
    assert sum(len(page.images) for page in reader.pages) > len(NOTEBOOKS)


def test_the_zip_holds_the_site_in_one_folder(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "chapters").mkdir(parents=True)
    for name in ("index.html", "chapters/02.html", ".buildinfo"):
        (site / name).write_text(name)
    load_script("pack_site").pack(site, tmp_path / "dist" / "book.zip")
    with zipfile.ZipFile(tmp_path / "dist" / "book.zip") as archive:
        assert sorted(archive.namelist()) == ["book/chapters/02.html", "book/index.html"]
