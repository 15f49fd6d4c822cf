"""The questions in the text of the chapters stand where they are asked, once each."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from bnkit.book.cards import ask
from bnkit.book.registry import IN_TEXT

CHAPTERS = Path(__file__).parents[1] / "chapters"
CALL = re.compile(r'ask\("([^"]+)"\)')


def asked() -> dict[str, list]:
    """Each question's cells, over all chapters."""
    cells: dict[str, list] = {}
    for path in sorted(CHAPTERS.glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and (found := CALL.fullmatch(cell.source)):
                cells.setdefault(found[1], []).append((path.name, cell))
    return cells


def test_each_question_is_asked_once_and_in_its_chapter() -> None:
    cells = asked()
    assert set(cells) == set(IN_TEXT)
    assert not {name: found for name, found in cells.items() if len(found) != 1}
    assert not {name for name, ((file, _),) in cells.items() if not file.startswith(name[:2])}


@pytest.mark.parametrize("name", IN_TEXT)
def test_a_committed_page_shows_the_question_as_it_is_now(name: str) -> None:
    ((_, cell),) = asked()[name]
    assert cell.outputs[0].data["text/html"] == ask(name).source


def test_no_notebook_gives_away_the_answer_of_a_question_above_it() -> None:
    for path in CHAPTERS.glob("[0-9]*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if re.match(r"(quiz|predict)\(", cell.source):
                hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
                assert hidden and cell.metadata.get("cellView") == "form", (path.name, cell.id)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"got question '99-none', expected one of 01-"):
        ask("99-none")
