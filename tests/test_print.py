"""The book on paper and in one file: a PDF with bookmarks and links, a zip that needs no server."""

from __future__ import annotations

import importlib.util
import os
import re
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


@pytest.fixture(scope="module")
def texts(reader) -> list[str]:
    """The text of each page: reading it takes pypdf a minute."""
    return [page.extract_text() for page in reader.pages]


def links(reader) -> list:
    found = []
    for page in reader.pages:
        notes = [note.get_object() for note in page.get("/Annots") or []]
        found += [note for note in notes if note.get("/Subtype") == "/Link"]
    return found


def test_every_chapter_has_a_bookmark_of_the_first_rank_to_the_page_that_it_opens(
    reader, texts: list[str]
) -> None:
    first_rank = [item for item in reader.outline if not isinstance(item, list)]
    for number in range(1, len(NOTEBOOKS) + 1):
        (mark,) = (item for item in first_rank if item.title.startswith(f"{number}. "))
        page = texts[reader.get_destination_page_number(mark)]
        assert page.lstrip().startswith(f"{number}. "), mark.title


def test_links_of_the_pdf_lead_into_it_or_to_the_web(reader) -> None:
    marks = [note.get("/Dest") or note.get("/A", {}).get("/D") for note in links(reader)]
    inside = [mark for mark in marks if mark]
    assert len(inside) > 10 * len(NOTEBOOKS)
    assert not [
        mark for mark in inside if isinstance(mark, str) and mark not in reader_names(reader)
    ]
    web = [note["/A"]["/URI"] for note in links(reader) if "/URI" in note.get("/A", {})]
    assert not [address for address in web if not address.startswith("https://")]


def reader_names(reader) -> set[str]:
    return {name for own in reader.named_destinations for name in (own, own.removeprefix("/"))}


def images(page) -> list:
    """The images that a page names; those within its text would take a minute to look for."""
    named = (page["/Resources"].get("/XObject") or {}).values()
    return [each for each in named if each.get_object()["/Subtype"] == "/Image"]


def test_the_first_page_holds_the_title_and_widgets_their_figures(reader, texts: list[str]) -> None:
    assert "Batch Normalization, Measured" in texts[0]
    assert sum(len(images(page)) for page in reader.pages) > len(NOTEBOOKS)


def test_paper_shows_no_button_and_no_fold(texts: list[str]) -> None:
    text = "".join(each for each in texts if ">>> " not in each)  # the reference prints a card
    assert "Show code cell" not in text and "○ not started" not in text
    assert "Solution" in text


def test_the_answers_stand_behind_each_chapter_and_nothing_counts_presses(
    texts: list[str],
) -> None:
    assert sum(text.count("Answers to the questions") for text in texts) == len(NOTEBOOKS)
    assert sum(text.count("✓ right") for text in texts) >= 2 * len(NOTEBOOKS)
    assert not [text for text in texts if "Where you stand" in text]


def test_the_contents_name_the_page_of_every_chapter(reader, texts: list[str]) -> None:
    contents = " ".join(texts[0].split())
    for mark in (item for item in reader.outline if not isinstance(item, list)):
        if re.match(r"\d+\. ", mark.title):
            page = reader.get_destination_page_number(mark) + 1
            title = re.escape(" ".join(mark.title.split()[:3]))
            assert re.search(rf"{title}[^\d]*{page}\b", contents), mark.title


def test_the_zip_holds_the_site_in_one_folder(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "chapters").mkdir(parents=True)
    for name in ("index.html", "chapters/02.html", ".buildinfo"):
        (site / name).write_text(name)
    load_script("pack_site").pack(site, tmp_path / "dist" / "book.zip")
    with zipfile.ZipFile(tmp_path / "dist" / "book.zip") as archive:
        assert sorted(archive.namelist()) == ["book/chapters/02.html", "book/index.html"]
