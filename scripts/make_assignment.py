"""Make an nbgrader course from the coding exercises of chapters.

Usage: python scripts/make_assignment.py COURSE [CHAPTER ...]       (default: every chapter)

COURSE is the course's folder; CHAPTER a number such as 02. Each chapter becomes one assignment:
COURSE/source holds it with solutions, COURSE/release without. An assignment that
is there already is made anew; submissions and grades stay.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bnkit.book.exercise import Exercise
from bnkit.book.grading.notebook import ALL, ANSWER, SMALLEST, cell_id
from bnkit.book.registry import EXERCISES, exercises_of
from bnkit.book.run import LIMIT

BOOK = Path(__file__).parents[1] / "chapters"
SMALL, WHOLE = 1, 2  # points for the smallest input, and for all
CONFIG = '''"""Settings of the course; nbgrader reads them in this folder."""

from bnkit.book.grading.course import configure

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "batch-normalization"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
configure(c)  # answers run in a process of their own, and another one judges them
# c.ExerciseJudge.seconds = 10.0  # that the answer to an exercise may take
# c.ExerciseJudge.credit_ready_made = True  # points for nn.BatchNorm1d and other finished answers
c.ExecutePreprocessor.timeout = 120  # seconds for a cell, where you add tests of your own
'''
INTRODUCTION = """# Exercises: {title}

They belong to chapter {number} of *Batch Normalization, Measured*. Replace each line that raises
`NotImplementedError` by your code, and run the two tests below it: one with the smallest input,
one with all inputs. The second names the mistake that it sees. When you hand in, both run again.

A layer or function that does the whole exercise for you earns no points, unless your teacher says
so. While an answer is graded it has {seconds:g} seconds, and it can neither start other programs
nor write files outside a folder of its own."""
IMPORTS = """import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from bnkit.book.registry import check"""
SMALL_TEST = """# The smallest input
result = check("{name}", {answer}, smallest=True)
assert result.passed, result.headline"""
WHOLE_TEST = """# All inputs
result = check("{name}", {answer})
assert result.passed, result"""


def locked(grade_id: str, points: int | None = None) -> dict:
    """Metadata of a cell that students cannot change, graded if it has points."""
    found = {"grade": points is not None, "locked": True, "solution": False}
    found |= {"grade_id": grade_id, "schema_version": 3, "task": False}
    return {"nbgrader": found if points is None else found | {"points": points}}


def answered(grade_id: str) -> dict:
    """Metadata of a cell that students fill."""
    found = {"grade": False, "locked": False, "solution": True, "task": False}
    return {"nbgrader": found | {"grade_id": grade_id, "schema_version": 3}}


def statement(exercise: Exercise, number: int) -> str:
    """What to write, the points, and the hints, folded."""
    hints = "\n\n".join(
        f"<details><summary>Hint {i}</summary>\n\n{hint}\n\n</details>"
        for i, hint in enumerate(exercise.hints, start=1)
    )
    points = SMALL + WHOLE
    return f"**{number}. {exercise.title}** ({points} points). {exercise.statement}\n\n{hints}"


def cells_of(exercise: Exercise, number: int) -> list[NotebookNode]:
    """Statement, answer, a test with the smallest input, and one with all."""
    call = {"name": exercise.name, "answer": exercise.answer}
    task, answer, small, whole = (
        cell_id(exercise, k) for k in ("statement", ANSWER, SMALLEST, ALL)
    )
    return [
        new_markdown_cell(statement(exercise, number), metadata=locked(task), id=task),
        new_code_cell(exercise.marked, metadata=answered(answer), id=answer),
        new_code_cell(SMALL_TEST.format(**call), metadata=locked(small, SMALL), id=small),
        new_code_cell(WHOLE_TEST.format(**call), metadata=locked(whole, WHOLE), id=whole),
    ]


def title(chapter: str) -> str:
    """The heading of a chapter; its name where the notebook is not there."""
    path = BOOK / f"{chapter}.ipynb"
    if not path.is_file():
        return chapter[3:].replace("_", " ")
    cells = nbformat.read(path, as_version=4).cells
    return next(c.source for c in cells if c.source.startswith("# ")).splitlines()[0][2:]


def assignment(chapter: str) -> NotebookNode:
    """The teacher's notebook of a chapter's exercises."""
    text = INTRODUCTION.format(title=title(chapter), number=int(chapter[:2]), seconds=LIMIT)
    cells = [
        new_markdown_cell(text, metadata=locked("introduction"), id="introduction"),
        new_code_cell(IMPORTS, metadata=locked("imports"), id="imports"),
    ]
    for number, exercise in enumerate(exercises_of(chapter), start=1):
        cells += cells_of(exercise, number)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def chapters(numbers: list[str]) -> list[str]:
    """Names of the chapters with these numbers, or of all that have exercises."""
    names = dict.fromkeys(exercise.chapter for exercise in EXERCISES.values())
    if not numbers:
        return list(names)
    found = [exercises_of(re.sub(r"^(\d)$", r"0\1", number))[0].chapter for number in numbers]
    return list(dict.fromkeys(found))


def write_sources(course: Path, names: list[str]) -> None:
    """Configuration, where there is none yet, and the teacher's notebooks."""
    course.mkdir(parents=True, exist_ok=True)
    config = course / "nbgrader_config.py"
    if not config.exists():
        config.write_text(CONFIG, encoding="utf-8")
    for name in names:
        folder = course / "source" / name
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(assignment(name), folder / f"{name}.ipynb")


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    course = Path(arguments[0])
    try:
        names = chapters(arguments[1:])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    write_sources(course, names)
    from bnkit.book.grading.course import load_course

    api = load_course(course)
    for name in names:
        made = api.generate_assignment(name, force=True, create=True)
        if not made["success"]:
            print(made["log"] or made["error"], file=sys.stderr)
            return 1
        print(os.path.join(course, "release", name, f"{name}.ipynb"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
