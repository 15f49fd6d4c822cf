"""The shape of a chapter: every notebook of the book keeps the same few rules."""

from __future__ import annotations

import ast
import re
from itertools import groupby, pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from bnkit.book.registry import EXERCISES, exercises_of

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "chapters").glob("*.ipynb"))
FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?[^)]*\)")
MYST = {
    "directive": re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*\{", re.MULTILINE),
    "role": re.compile(r"\{[a-z][a-z:-]*\}`"),
    "label": re.compile(r"^\([\w-]+\)=\s*$", re.MULTILINE),
    "cross-reference": re.compile(r"\]\(#[\w-]+\)|\[\]\("),
}
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|tmp|work|usr|var|opt|mnt|private)/|[A-Z]:\\\\?\w"
)
WORDS = range(1_500, 2_801)
MAX_STATEMENTS, MAX_COLUMNS = 20, 76
FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


HEAD = {"badges", "setup"}  # the cells for Colab, which test_homes.py checks


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook without its head."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id not in HEAD]
    return notebook


def markdown(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def statements(cell: nbformat.NotebookNode) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(cell.source)))


def links(path: Path) -> list[str]:
    return [unquote(link) for text in markdown(path) for link in LINK.findall(FENCED.sub("", text))]


@notebooks
def test_opens_with_one_question_what_you_will_be_able_to_do_and_the_minutes(path: Path) -> None:
    opening = markdown(path)[0]
    assert opening.startswith("# "), "the first cell holds the title"
    question = re.search(r"^\*\*The question\.\*\*(.*)$", opening, re.MULTILINE)
    assert question, "missing: **The question.** ..."
    assert question[1].count("?") == 1, "ask one question"
    abilities = re.search(r"\*\*After this chapter you can\*\*\n+((?:- .*\n(?:  .*\n)*)+)", opening)
    assert abilities, "missing: **After this chapter you can** and a list"
    assert re.search(r"\*\*Time:\*\*.* \d+ minutes", opening), "missing: **Time:** about N minutes"


@notebooks
def test_ends_with_key_points_and_exercises_whose_solutions_are_folded(path: Path) -> None:
    text = "\n\n".join(markdown(path))
    headings = re.findall(r"^## (.+)$", FENCED.sub("", text), re.MULTILINE)
    assert headings[-2:] == ["Key points", "Exercises"]
    points = text.split("\n## Key points")[1].split("\n## Exercises")[0]
    assert 3 <= len(re.findall(r"^(?:[-*]|\d+\.) ", points, re.MULTILINE)) <= 5


def exercise_text(path: Path) -> str:
    """All below the heading "Exercises": Markdown, and code between fences."""
    texts = [
        cell.source if cell.cell_type == "markdown" else f"~~~~\n{cell.source}\n~~~~"
        for cell in read(path).cells
    ]
    return "\n\n".join(texts).split("\n## Exercises\n")[1]


@notebooks
def test_2_to_4_exercises_each_have_a_card_or_a_folded_solution(path: Path) -> None:
    parts = re.split(r"^\*\*(\d+)\. ", exercise_text(path), flags=re.MULTILINE)[1:]
    numbers, texts = [int(n) for n in parts[::2]], parts[1::2]
    assert numbers in ([1, 2], [1, 2, 3], [1, 2, 3, 4])
    solved = re.compile(
        r"<details>\s*<summary>Solution</summary>.*?</details>|^exercise\(", re.S | re.M
    )
    for number, text in zip(numbers, texts, strict=True):
        assert len(solved.findall(text)) == 1, f"exercise {number}: one solution or one card"


@notebooks
def test_shows_each_of_its_exercises_that_can_be_checked_below_its_stub(path: Path) -> None:
    cells = read(path).cells
    shown = []
    for before, cell in pairwise(cells):
        if cell.cell_type == "code" and cell.source.startswith("exercise("):
            name, answer = re.fullmatch(r'exercise\("(\w+)", (\w+)\)', cell.source).groups()
            assert before.source.endswith(EXERCISES[name].stub)
            assert answer == EXERCISES[name].answer
            shown.append(name)
    assert shown == [task.name for task in exercises_of(path.stem, in_book=True)]
    assert cells[-1].source == f'progress("{path.stem}")'


@notebooks
def test_page_shows_quizzes_and_progress_without_the_call_that_makes_them(path: Path) -> None:
    calls = [c for c in code_cells(path) if re.match(r"(ask|check_yourself|progress)\(", c.source)]
    assert len(calls) >= 2
    assert not [c.id for c in calls if "remove-input" not in c.metadata.get("tags", [])]


@notebooks
def test_is_neither_a_note_nor_a_treatise(path: Path) -> None:
    words = sum(len(text.split()) for text in markdown(path))
    assert words in WORDS, f"{words} words"


@notebooks
def test_code_cells_are_short(path: Path) -> None:
    lengths = {cell.id: statements(cell) for cell in code_cells(path)}
    assert not {name: n for name, n in lengths.items() if n > MAX_STATEMENTS}


@notebooks
def test_code_fits_a_phone_held_sideways(path: Path) -> None:
    shown = [
        cell for cell in code_cells(path) if "remove-input" not in cell.metadata.get("tags", [])
    ]
    lines = [(cell.id, line) for cell in shown for line in cell.source.splitlines()]
    assert not [(name, line) for name, line in lines if len(line) > MAX_COLUMNS]


@notebooks
def test_code_in_the_text_fits_the_column_of_code(path: Path) -> None:
    for cell in read(path).cells:
        fences = FENCE.findall(cell.source) if cell.cell_type == "markdown" else []
        lines = [line for fence in fences for line in fence.splitlines()]
        assert not [line for line in lines if len(line) > MAX_COLUMNS], cell.id


@notebooks
def test_printed_lines_fit_the_column_of_code(path: Path) -> None:
    for cell in code_cells(path):
        printed = "".join(o.text for o in cell.outputs if o.get("name") == "stdout")
        assert not [line for line in printed.splitlines() if len(line) > MAX_COLUMNS], cell.id


def comprehensions(cell: nbformat.NotebookNode) -> list[ast.AST]:
    kinds = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    return [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, kinds)]


@notebooks
def test_no_comprehension_trains_or_loops_within_a_loop(path: Path) -> None:
    for cell in code_cells(path):
        for node in comprehensions(cell):
            assert len(node.generators) == 1, (cell.id, ast.unparse(node))
            assert "train(" not in ast.unparse(node), (cell.id, ast.unparse(node))


@notebooks
def test_never_shows_three_code_cells_without_prose(path: Path) -> None:
    runs = groupby(read(path).cells, key=lambda cell: cell.cell_type)
    longest = max(len(list(cells)) for kind, cells in runs if kind == "code")
    assert longest < 3


@notebooks
def test_was_executed_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(2, len(counts) + 2))  # the first is the set-up


@notebooks
def test_has_no_error_and_no_warning_among_its_outputs(path: Path) -> None:
    kinds = {
        (cell.id, output.output_type if output.output_type == "error" else output.name)
        for cell in code_cells(path)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    }
    assert not kinds


@notebooks
def test_metadata_does_not_change_from_run_to_run(path: Path) -> None:
    notebook = read(path)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert notebook.metadata.language_info == {"name": "python"}
    assert not [cell.id for cell in notebook.cells if "execution" in cell.metadata]


@notebooks
def test_cell_ids_are_readable_and_unique(path: Path) -> None:
    ids = [cell.id for cell in read(path).cells]
    assert len(ids) == len(set(ids))
    random = re.compile(r"(?=.*\d)[0-9a-f]{8}(-|$)")
    assert not [name for name in ids if not re.fullmatch(r"[a-z][a-z0-9-]*", name)]
    assert not [name for name in ids if random.match(name)]


@notebooks
@pytest.mark.parametrize("kind", MYST)
def test_shows_no_raw_markup_where_sphinx_is_absent(path: Path, kind: str) -> None:
    found = [text for text in markdown(path) if MYST[kind].search(text)]
    assert not found, f"a MyST {kind} shows raw in Colab and JupyterLab"


@notebooks
def test_names_no_folder_of_the_machine_it_ran_on(path: Path) -> None:
    texts = [cell.source for cell in read(path).cells]
    for cell in code_cells(path):
        for output in cell.outputs:
            texts.append(str(output.get("text", "")))
            texts.append(str(output.get("data", {}).get("text/plain", "")))
    assert not [match[0] for text in texts for match in MACHINE_PATH.finditer(text)]


@notebooks
def test_every_figure_says_in_words_what_it_shows(path: Path) -> None:
    for cell in code_cells(path):
        if any(kind.startswith("image/") for o in cell.outputs for kind in o.get("data", {})):
            shown = cell.metadata.get("mystnb", {})
            assert len(shown.get("image", {}).get("alt", "")) > 30, f"{cell.id} needs alt text"
            assert shown.get("figure", {}).get("caption"), f"{cell.id} needs a caption"


def work(link: str) -> str | None:
    """The arXiv number or DOI behind a link, if it leads to one."""
    found = re.search(r"arxiv\.org/(?:abs|pdf)/([\w.]+?)(?:v\d+|\.pdf)*$|doi\.org/(.+)$", link)
    return (found[1] or found[2]).lower() if found else None


@notebooks
def test_every_cited_work_stands_in_the_bibliography(path: Path) -> None:
    bibliography = (ROOT / "references.bib").read_text(encoding="utf-8").lower()
    works = {name for link in links(path) if (name := work(link))}
    assert not {name for name in works if name not in bibliography}


@notebooks
def test_links_to_other_pages_resolve(path: Path) -> None:
    local = [link.split("#")[0] for link in links(path) if not re.match(r"[a-z]+:|#", link)]
    assert not [link for link in local if link and not (path.parent / link).exists()]


def test_every_work_of_the_bibliography_is_cited() -> None:
    pages = [p for p in (ROOT / "chapters").iterdir() if p.suffix in (".ipynb", ".md")]
    text = "\n".join(page.read_text(encoding="utf-8").lower() for page in pages)
    entries = (ROOT / "references.bib").read_text(encoding="utf-8").lower().split("\n@")[1:]
    links = {e.split(",")[0]: re.search(r"(?:url|doi)\s*=\s*\{([^}]+)\}", e)[1] for e in entries}
    assert not [name for name, link in links.items() if link not in text]
