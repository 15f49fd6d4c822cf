"""Which parts of a notebook become slides: one idea each, in the order of the chapter.

Nothing is written twice. A slide is a heading of the chapter and one exhibit below it: an equation,
a figure, an explorable, a question, a claim, a short run, or the key points. Bold sentences that
follow an exhibit go with it, unless it asks something, and what the chapter says there becomes the
speaker's notes. Where a chapter has more than `MOST` exhibits, the least important kinds are left
out, the later ones first. A cell tagged ``slide`` always stays, one tagged ``no-slide`` never does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbformat import NotebookNode

MOST, FEWEST = 15, 8
LINES = 14  # of code on a slide
BOTH = 18  # of code and what it prints
ROWS = 9  # of a table
HEADING = re.compile(r"^(#{1,3}) +(.+)$", re.MULTILINE)
EQUATION = re.compile(r"^\$\$.*?^\$\$|^\$\$[^\n]+\$\$$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\n?){3,}", re.MULTILINE)
# Whole sentences; "What changed our mind." is a label.
BOLD = re.compile(r"\*\*((?!Wh|How|Claim)[A-Z`$“\"][^*\n]{11,}?[.!])\*\*")
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
KIND = re.compile(r'class="bnkit bnkit-(\w+)"')
QUIZ = re.compile(r'^(?=<div class="bnkit bnkit-quiz")', re.MULTILINE)
OBJECTIVES = re.compile(r"\*\*After this chapter you can\*\*\n+((?:- .+\n?)+)")
QUESTION = re.compile(r"\*\*The question\.\*\* *(.+)")
LEFT_OUT = ("Exercises", "Key points")
KINDS = ["title", "points", "predict", "explore", "playground", "train", "equation", "figure"]
KINDS += [
    "claim",
    "code",
    "check",
    "quiz",
    "run",
    "table",
    "says",
]  # the earlier, the longer it stays
ASKS = ("predict", "quiz", "check")  # what the chapter says next would answer


@dataclass
class Section:
    """A heading and what stands below it: Markdown as text, code as cells."""

    title: str
    parts: list[str | NotebookNode] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its prose."""
        return "\n\n".join(part for part in self.parts if isinstance(part, str))


@dataclass
class Slide:
    """A heading, an exhibit as the notebook has it, and the sentences that go with it."""

    kind: str
    title: str
    exhibit: str | NotebookNode
    says: list[str] = field(default_factory=list)
    notes: str = ""
    kept: bool = False  # tagged

    @property
    def rank(self) -> int:
        """How soon it is left out; the opening puzzle stays."""
        return 0 if self.kept else KINDS.index(self.kind)


def slides_of(notebook: NotebookNode) -> list[Slide]:
    """The slides of a chapter."""
    first, *sections = sections_of(notebook)
    found = list(opening(first))
    for section in sections:
        if section.title not in LEFT_OUT:
            found += in_section(section)
    found += closing(sections)
    opener = next(slide for slide in found if slide.kind not in ("title", "points"))
    opener.kept = True
    return fewer(found)


def fewer(slides: list[Slide]) -> list[Slide]:
    """At most `MOST` of them, in their order; what only says something fills up a short deck."""
    order = sorted(range(len(slides)), key=lambda i: (slides[i].rank, i))
    counted = [i for i in order if slides[i].kind != "says"]
    kept = counted[:MOST] + [i for i in order if i not in counted][: max(FEWEST - len(counted), 0)]
    return [slides[i] for i in sorted(kept)]


def sections_of(notebook: NotebookNode) -> list[Section]:
    """The chapter cut at its headings; the first section is its title."""
    sections: list[Section] = []
    for cell in notebook.cells:
        if cell.id in ("badges", "setup"):
            continue
        if cell.cell_type != "markdown":
            sections[-1].parts.append(cell)
            continue
        before, *rest = HEADING.split(FOLDED.sub("", cell.source))
        if before.strip():
            sections[-1].parts.append(before.strip())
        for title, text in zip(rest[1::3], rest[2::3], strict=True):
            sections.append(Section(title.strip(), [text.strip()] if text.strip() else []))
    return sections


def opening(section: Section) -> Iterator[Slide]:
    """The title with the chapter's question, and what one can do afterwards."""
    question, aims = QUESTION.search(section.text), OBJECTIVES.search(section.text)
    yield Slide("title", section.title, question[1] if question else "", notes=section.text)
    if aims:
        yield Slide("points", "After this chapter you can", aims[1].strip())


def closing(sections: list[Section]) -> Iterator[Slide]:
    """The key points, and the questions that close the chapter, one a slide."""
    section = next((section for section in sections if section.title == "Key points"), None)
    if section is None:
        return
    text = section.text.partition("**Check yourself")[0].strip()
    table = TABLE.search(text)
    notes = table[0] if table else ""
    yield Slide("points", "Key points", TABLE.sub("", text).strip(), notes=notes)
    cells = [part for part in section.parts if not isinstance(part, str)]
    questions = [html for cell in cells for html in QUIZ.split(html_of(cell))[1:]]
    for number, source in enumerate(questions):
        yield Slide("check", "Check yourself", source.removesuffix("</div>"), kept=not number)


def in_section(section: Section) -> list[Slide]:
    """A slide for each exhibit; a section that has none shows a run, or what it says."""
    found: list[Slide] = []
    notes: list[str] = []
    for part in section.parts:
        made = list(from_text(section, part) if isinstance(part, str) else from_cell(section, part))
        if isinstance(part, str):
            notes.append(part)
            if not made and found and found[-1].kind not in (*ASKS, "train"):
                found[-1].says += BOLD.findall(part)
        elif is_function(part) and found and found[-1].kind == "equation":
            made = [Slide("code", section.title, part)]
        for slide in made:
            slide.notes, notes = "\n\n".join(notes), []
        found += made
    runs = [slide for slide in found if slide.kind == "run"]
    shown = [slide for slide in found if slide.kind != "run" or slide.kept]
    shown = shown or runs[-1:] or says(section)
    for slide in shown:
        slide.says = slide.says[:2]
    return shown


def says(section: Section) -> list[Slide]:
    """The bold sentences of a section."""
    words = BOLD.findall(section.text)
    text = "\n".join(f"- {sentence}" for sentence in words[:5])
    return [Slide("says", section.title, text, notes=section.text)] if words else []


def from_text(section: Section, text: str) -> Iterator[Slide]:
    """Equations, all of a paragraph on one slide, and small tables."""
    if equations := EQUATION.findall(text):
        rest = BOLD.findall(EQUATION.sub("", text))
        yield Slide("equation", section.title, "\n\n".join(equations[:3]), rest)
    for table in TABLE.findall(text):
        if len(table.strip().splitlines()) <= ROWS + 2:
            yield Slide("table", section.title, table)


def from_cell(section: Section, cell: NotebookNode) -> Iterator[Slide]:
    """What a cell shows, if it is for a slide."""
    tags = cell.metadata.get("tags", [])
    kind = kind_of(cell)
    if kind and "no-slide" not in tags:
        title = "Train it here" if kind == "train" else section.title
        yield Slide(kind, title, cell, kept="slide" in tags)


def kind_of(cell: NotebookNode) -> str | None:
    """What a cell shows: a widget, a figure, a claim, or code with what it prints."""
    html = html_of(cell)
    if found := KIND.search(html):
        name = "predict" if 'class="bnkit-reveal"' in html else found[1]
        return name if name in KINDS else None
    if "bnkit-claim" in html:
        return "claim"
    if 'class="bnkit-train-here"' in html:
        return "train"
    if 'class="bnpg' in html or "playground" in cell.id:
        return "playground"
    if any("image/png" in output.get("data", {}) for output in cell.outputs):
        return "figure"
    printed = printed_by(cell)
    lines = len(cell.source.splitlines()) + len(printed.splitlines())
    return "run" if printed and not html and lines <= BOTH else None


def is_function(cell: NotebookNode) -> bool:
    """Whether a cell only defines a short function."""
    if cell.outputs or len(cell.source.splitlines()) > LINES:
        return False
    return [type(node) for node in ast.parse(cell.source).body] == [ast.FunctionDef]


def html_of(cell: NotebookNode) -> str:
    """The HTML that a cell shows."""
    return "\n".join("".join(o.get("data", {}).get("text/html", "")) for o in cell.outputs)


def printed_by(cell: NotebookNode) -> str:
    """The text that a cell prints or shows."""
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return "".join(map("".join, texts)).rstrip()
