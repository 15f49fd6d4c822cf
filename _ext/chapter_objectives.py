"""For the teachers' page: what each chapter promises, read from the notebooks at build.

Two fences and one mark, so that the page holds no copy that could drift:

- ``{chapters-at-a-glance}``: a table of minutes, exercises, questions and explorables;
- ``{chapter-objectives}``: each chapter's list "After this chapter you can";
- ``{minutes}`` in a table row: the sum of the stated minutes of the chapters linked in that row.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FENCE = re.compile(r"^```\{(chapters-at-a-glance|chapter-objectives)\}\n```$", re.MULTILINE)
ROW = re.compile(r"^\|.*\{minutes\}.*$", re.MULTILINE)
LINKED = re.compile(r"\((\d\d_\w+)\.ipynb\)")
ABILITIES = re.compile(r"\*\*After this chapter you can\*\*\n+((?:- .*\n(?:  .*\n)*)+)")


class Chapter(NamedTuple):
    """What the head and the cells of a notebook say about it."""

    stem: str
    title: str
    minutes: int
    objectives: str  # a Markdown list
    exercises: int
    questions: int
    explorables: int

    @property
    def link(self) -> str:
        return f"[{int(self.stem[:2])} · {self.title}]({self.stem}.ipynb)"


def kinds(cell: dict) -> list[str]:
    """The kinds of widget among a cell's outputs, such as ``["quiz", "quiz"]``."""
    shown = ["".join(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", [])]
    return re.findall(r'class="bnkit bnkit-(\w+)"', "".join(shown))


def read_chapter(path: Path) -> Chapter:
    """Read one notebook; what is missing in its head is an error that names it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    whole = "\n\n".join(texts)
    title = re.search(r"^# (.+)$", whole, re.MULTILINE)
    minutes = re.search(r"\*\*Time:\*\* about (\d+) minutes", whole)
    objectives = ABILITIES.search(whole)
    if not (title and minutes and objectives):
        raise ExtensionError(f"{path.name} lacks a title, its time or 'After this chapter you can'")
    widgets = [kind for cell in cells for kind in kinds(cell)]
    return Chapter(
        stem=path.stem,
        title=title[1],
        minutes=int(minutes[1]),
        objectives=objectives[1].strip(),
        exercises=len(re.findall(r"^\*\*\d+\. ", whole.split("\n## Exercises")[-1], re.MULTILINE)),
        questions=widgets.count("quiz"),
        explorables=widgets.count("explore"),
    )


def read_chapters(folder: Path) -> dict[str, Chapter]:
    """All chapters of a folder by their file's stem, in reading order."""
    return {path.stem: read_chapter(path) for path in sorted(folder.glob("[0-9]*.ipynb"))}


def at_a_glance(chapters: dict[str, Chapter]) -> str:
    """The table of all chapters."""
    lines = ["| Chapter | Minutes | Exercises | Questions | Explorables |", "|---|---|---|---|---|"]
    lines += [
        f"| {c.link} | {c.minutes} | {c.exercises} | {c.questions} | {c.explorables} |"
        for c in chapters.values()
    ]
    total = sum(c.minutes for c in chapters.values())
    hours = f"{total // 60} h {total % 60:02} min" if total % 60 else f"{total // 60} h"
    return "\n".join([*lines, f"| **All** | **{hours}** | | | |"])


def objectives(chapters: dict[str, Chapter]) -> str:
    """One section for each chapter."""
    return "\n\n".join(f"### {c.link}\n\n{c.objectives}" for c in chapters.values())


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the fences and marks of a page."""
    if not (FENCE.search(source[0]) or ROW.search(source[0])):
        return
    folder = Path(app.env.doc2path(docname)).parent
    chapters = read_chapters(folder)
    tables = {"chapters-at-a-glance": at_a_glance, "chapter-objectives": objectives}

    def minutes(row: re.Match[str]) -> str:
        stems = LINKED.findall(row[0])
        if missing := set(stems) - set(chapters):
            raise ExtensionError(f"{docname}: no chapter {', '.join(sorted(missing))}")
        return row[0].replace("{minutes}", str(sum(chapters[stem].minutes for stem in stems)))

    source[0] = FENCE.sub(lambda fence: tables[fence[1]](chapters), source[0])
    source[0] = ROW.sub(minutes, source[0])
    for stem in chapters:
        app.env.note_dependency(str(folder / f"{stem}.ipynb"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
