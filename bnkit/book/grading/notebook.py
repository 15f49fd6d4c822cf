"""A submission as a notebook: which cells answer which exercise, and where the verdicts stand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_output

from bnkit.book.exercise import Exercise
from bnkit.book.grading.judge import Cell, Verdict, verdict
from bnkit.book.grading.workshop import Workshop
from bnkit.book.registry import EXERCISES
from bnkit.book.result import CheckResult

__all__ = [
    "ALL",
    "ANSWER",
    "SMALLEST",
    "Rules",
    "cell_id",
    "exercise_of",
    "judge_notebook",
    "verdicts_in",
]

ANSWER, SMALLEST, ALL = "answer", "small", "whole"  # kinds of cells, as their ids end
TITLES = {SMALLEST: "the smallest input", ALL: "all inputs"}
BELOW = "Not yet. What is wrong stands with all inputs, below."
BORROWED = "Right, and ready-made: no points. See all inputs, below."
NO_POINTS = "<p>In this course a ready-made answer earns no points.</p>"


def cell_id(exercise: Exercise, kind: str) -> str:
    """The id of a cell of an exercise, such as ``forward-2d-whole``."""
    return f"{exercise.name.replace('_', '-')}-{kind}"


IDS = {
    cell_id(exercise, kind): (exercise, kind)
    for exercise in EXERCISES.values()
    for kind in (ANSWER, SMALLEST, ALL)
}


def exercise_of(cell: NotebookNode) -> tuple[Exercise, str] | None:
    """The exercise to which a cell belongs, and the kind of the cell."""
    return IDS.get(cell.metadata.get("nbgrader", {}).get("grade_id"))


def title_of(exercise: Exercise, kind: str) -> str:
    """What a test is called where points are listed."""
    return f"{exercise.title.replace('`', '')}: {TITLES[kind]}"


@dataclass(frozen=True)
class Rules:
    """What a teacher decides: is a ready-made answer worth points, and what may not be read?"""

    ready_made: bool = False
    closed: Sequence[str] = ()


def judge_notebook(nb: NotebookNode, workshop: Workshop, rules: Rules = Rules()) -> None:
    """Put a verdict and points into each test of an exercise; all other cells stay."""
    tests = {id(cell): exercise_of(cell) for cell in nb.cells if _is_test(cell)}
    verdicts: dict[str, Verdict] = {}
    ends: set[int] = set()
    for number, cell in enumerate(nb.cells, start=1):
        if exercise_and_kind := tests.get(id(cell)):
            exercise, kind = exercise_and_kind
            if exercise.name not in verdicts:
                cells = [c for c in _cells_for(nb, exercise) if c.of_answer or c.number not in ends]
                found = verdict(exercise, cells, workshop, rules.closed)
                if found.whole.status == "broken":  # our fault: no zero for it
                    raise RuntimeError(f"{exercise.name}: {found.whole.hint}")
                ends |= set(found.ends)
                verdicts[exercise.name] = found
            _tell(cell, exercise, kind, verdicts[exercise.name], rules, number)


def _is_test(cell: NotebookNode) -> bool:
    found = exercise_of(cell)
    return cell.cell_type == "code" and found is not None and found[1] != ANSWER


def _cells_for(nb: NotebookNode, exercise: Exercise) -> list[Cell]:
    """The code cells up to the last one of an exercise; tests are left out."""
    own = [n for n, cell in enumerate(nb.cells) if (exercise_of(cell) or [None])[0] is exercise]
    defines = re.compile(rf"^(def|class) {exercise.answer}\b", re.MULTILINE)
    return [
        Cell(
            number,
            cell.source,
            exercise_of(cell) == (exercise, ANSWER) or bool(defines.search(cell.source)),
        )
        for number, cell in enumerate(nb.cells[: own[-1]])
        if cell.cell_type == "code" and not _is_graded(cell)
    ]


def _is_graded(cell: NotebookNode) -> bool:
    kind = cell.metadata.get("nbgrader", {})
    return bool(kind.get("grade")) and not kind.get("solution")


def _tell(
    cell: NotebookNode,
    exercise: Exercise,
    kind: str,
    found: Verdict,
    rules: Rules,
    number: int,
) -> None:
    """Write a verdict into a test: points for nbgrader, words for people, both for the class."""
    borrowed = found.whole.ready_made if found.right and not rules.ready_made else ""
    right = (found.smallest if kind == SMALLEST else found.right) and not borrowed
    points = float(cell.metadata.nbgrader["points"]) if right else 0.0
    words = _words(found, kind, borrowed)
    data = {"text/plain": f"{points:g}", "text/html": words}
    cell.execution_count = number
    cell.outputs = [new_output("execute_result", data, execution_count=number)]
    cell.metadata["bnkit"] = {
        "exercise": exercise.name,
        "kind": kind,
        "title": title_of(exercise, kind),
        "status": "ready-made" if borrowed else found.whole.status,
        "verdict": _short(found, borrowed),
        "labels": _labels(found, borrowed),
    }


def _words(found: Verdict, kind: str, borrowed: str) -> str:
    """A verdict as HTML without links: on paper nobody follows them."""
    if kind == SMALLEST:
        return f"<p>{BORROWED if borrowed else 'Passed.' if found.smallest else BELOW}</p>"
    words = re.sub(r"</?a\b[^>]*>", "", found.whole._repr_html_())
    return words + (NO_POINTS if borrowed else "")


def _short(found: Verdict, borrowed: str) -> str:
    """A verdict in one line."""
    whole = found.whole
    if borrowed:
        return f"ready-made: {borrowed}"
    if whole.status == "raised" and whole.error:
        return f"raised {whole.error.splitlines()[0]}"
    if whole.status == "stopped":
        return f"{whole.headline}. {whole.hint}"
    return whole.headline


def _labels(found: Verdict, borrowed: str) -> list[str]:
    """What a class's mistakes are counted by."""
    whole = found.whole
    if borrowed:
        return ["a ready-made answer"]
    if whole.status == "mistake":
        return whole.mistake.split(" and ") if _is_pair(whole) else [whole.mistake]
    return [
        {
            "passed": "right",
            "unknown": f"another mistake, first seen in: {whole.stage}",
            "raised": "an exception: " + (whole.error or "?").split(":")[0].splitlines()[0],
            "stopped": "it did not finish",
        }.get(whole.status, whole.status)
    ]


def _is_pair(whole: CheckResult) -> bool:
    """Whether the mistake is two: both halves are names of mistakes."""
    names = {mistake.name for mistake in EXERCISES[whole.exercise].mistakes}
    return whole.mistake not in names and set(whole.mistake.split(" and ")) <= names


def verdicts_in(nb: NotebookNode) -> list[Mapping[str, str]]:
    """The verdicts that a graded notebook holds, one an exercise."""
    found = [cell.metadata.get("bnkit", {}) for cell in nb.cells]
    return [each for each in found if each.get("kind") == ALL]
