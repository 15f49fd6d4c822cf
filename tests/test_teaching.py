"""The teachers' page: its plans add up, and what it says of the chapters is what they say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "chapters" / "teaching.md").read_text(encoding="utf-8")


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ext = load("chapter_objectives")
CHAPTERS = ext.read_chapters(ROOT / "chapters")


def section(heading: str) -> str:
    level = re.search(rf"^(#+) {re.escape(heading)}$", PAGE, re.MULTILINE)[1]
    body = PAGE.split(f"\n{level} {heading}\n")[1]
    return re.split(rf"^#{{1,{len(level)}}} ", body, flags=re.MULTILINE)[0]


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def minutes_of(cell: str) -> int:
    """What the linked chapters take; the longest, where each group reads one of them."""
    minutes = [CHAPTERS[stem].minutes for stem in ext.LINKED.findall(cell)]
    return max(minutes) if cell.startswith("one of") else sum(minutes)


class Page:
    """As much of Sphinx as the extension asks for."""

    def __init__(self):
        self.env, self.noted = self, []

    def doc2path(self, docname):
        return ROOT / f"{docname}.md"

    def note_dependency(self, path):
        self.noted.append(path)


def filled(text: str) -> str:
    source = [text]
    ext.fill(Page(), "chapters/teaching", source)
    return source[0]


def test_the_lesson_takes_90_minutes():
    assert sum(int(row[0]) for row in rows("A lesson of 90 minutes")) == 90


@pytest.mark.parametrize("day", ["Day one: the layer", "Day two: what it is good for"])
def test_the_workshop_has_four_sessions_a_day_and_its_chapters_fit_into_them(day):
    sessions = rows(day)
    assert [int(row[0]) for row in sessions] == [90] * 4
    assert not [row[1] for row in sessions if not 0 < minutes_of(row[1]) <= int(row[0])]


def test_the_half_semester_reads_every_chapter_once_in_order():
    weeks = rows("Half a semester")
    assert [int(row[0]) for row in weeks] == list(range(1, 11))
    assert [stem for row in weeks for stem in ext.LINKED.findall(row[1])] == list(CHAPTERS)


def test_no_week_asks_for_more_than_two_hours_at_home():
    for row in filled(section("Half a semester")).splitlines():
        if re.match(r"\| \d", row):
            cells = row.strip("|").split("|")
            assert int(cells[2]) == minutes_of(cells[1].strip()) <= 120


def test_a_section_that_a_plan_names_is_a_heading_of_that_chapter():
    named = re.findall(r'\["([^\]]+)"\]\((\d\d_\w+)\.ipynb\)', PAGE)
    assert len(named) >= 4
    for heading, stem in named:
        notebook = nbformat.read(ROOT / "chapters" / f"{stem}.ipynb", as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        found = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert heading in found, f"{stem} has no section {heading!r}"


def test_the_objectives_of_every_chapter_stand_on_the_page_as_the_chapter_has_them():
    page = filled("```{chapter-objectives}\n```\n")
    for stem, chapter in CHAPTERS.items():
        notebook = nbformat.read(ROOT / "chapters" / f"{stem}.ipynb", as_version=4)
        head = next(cell.source for cell in notebook.cells if cell.source.startswith("# "))
        items = [line for line in head.splitlines() if line.startswith("- ")]
        assert f"{chapter.link}\n\n" + items[0] in page
        assert all(item in page for item in items)


def test_the_table_counts_what_the_notebooks_show():
    table = filled("```{chapters-at-a-glance}\n```\n")
    for chapter in CHAPTERS.values():
        assert chapter.exercises >= 2
        assert chapter.questions >= 1
        counts = f"{chapter.minutes} | {chapter.exercises} | {chapter.questions}"
        assert f"| {chapter.link} | {counts} | {chapter.explorables} |" in table


def test_a_page_without_fences_is_left_alone_and_the_notebooks_are_its_sources_otherwise():
    assert filled("The mark {minutes} outside a table.") == "The mark {minutes} outside a table."
    app = Page()
    ext.fill(app, "chapters/teaching", ["```{chapter-objectives}\n```"])
    assert len(app.noted) == len(CHAPTERS)


def test_a_row_that_links_a_missing_chapter_fails_the_build():
    with pytest.raises(ExtensionError, match="no chapter 99_none"):
        filled("| 1 | [99](99_none.ipynb) | {minutes} |")


def test_a_notebook_without_objectives_is_named(tmp_path):
    path = tmp_path / "01_bare.ipynb"
    cell = nbformat.v4.new_markdown_cell("# Bare\n\n**Time:** about 5 minutes.")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    with pytest.raises(ExtensionError, match=r"01_bare.ipynb lacks a title, its time or 'After"):
        ext.read_chapter(path)
