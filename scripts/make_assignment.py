"""Make an nbgrader course from the coding exercises of chapters.

Usage: python scripts/make_assignment.py COURSE [CHAPTER ...]       (default: every chapter)

COURSE is the course's folder; CHAPTER a number such as 02. Each chapter becomes one assignment:
COURSE/source holds it with solutions and hidden tests, COURSE/release without. An assignment that
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
from bnkit.book.registry import EXERCISES, exercises_of

BOOK = Path(__file__).parents[1] / "chapters"
VISIBLE, HIDDEN = 1, 2  # points
CONFIG = '''"""Settings of the course; nbgrader reads them in this folder."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "batch-normalization"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ExecutePreprocessor.timeout = 120  # seconds for a cell; the first one imports torch
'''
INTRODUCTION = """# Exercises: {title}

They belong to chapter {number} of *Batch Normalization, Measured*. Replace each line that raises
`NotImplementedError` by your code. The cell below it holds a small test: run it. When you hand in,
further tests run that you do not see.

Use no layer of PyTorch that does the whole exercise for you. `check("{name}", {answer})` from
`bnkit.book.registry` tells you which mistake it sees."""
IMPORTS = """import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from bnkit.book.registry import check"""
SMALL = """# A small case
result = check("{name}", {answer}, smallest=True)
assert result.passed, result"""
WHOLE = """# All cases; you do not see this test
### BEGIN HIDDEN TESTS
result = check("{name}", {answer})
assert result.passed, result
### END HIDDEN TESTS"""


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
    points = VISIBLE + HIDDEN
    return f"**{number}. {exercise.title}** ({points} points). {exercise.statement}\n\n{hints}"


def cells_of(exercise: Exercise, number: int) -> list[NotebookNode]:
    """Statement, answer, visible test and hidden test."""
    name = exercise.name.replace("_", "-")
    contents = [
        (new_markdown_cell, "statement", statement(exercise, number), locked),
        (new_code_cell, "answer", exercise.marked, answered),
        (new_code_cell, "small", SMALL, lambda grade_id: locked(grade_id, VISIBLE)),
        (new_code_cell, "whole", WHOLE, lambda grade_id: locked(grade_id, HIDDEN)),
    ]
    cells = []
    for make, kind, text, metadata in contents:
        text = (
            text.format(name=exercise.name, answer=exercise.answer)
            if text in (SMALL, WHOLE)
            else text
        )
        cells.append(make(text, metadata=metadata(f"{name}-{kind}"), id=f"{name}-{kind}"))
    return cells


def title(chapter: str) -> str:
    """The heading of a chapter; its name where the notebook is not there."""
    path = BOOK / f"{chapter}.ipynb"
    if not path.is_file():
        return chapter[3:].replace("_", " ")
    cells = nbformat.read(path, as_version=4).cells
    return next(c.source for c in cells if c.source.startswith("# ")).splitlines()[0][2:]


def assignment(chapter: str) -> NotebookNode:
    """The teacher's notebook of a chapter's exercises."""
    exercises = exercises_of(chapter)
    first = exercises[0]
    text = INTRODUCTION.format(
        title=title(chapter), number=int(chapter[:2]), name=first.name, answer=first.answer
    )
    cells = [
        new_markdown_cell(text, metadata=locked("introduction"), id="introduction"),
        new_code_cell(IMPORTS, metadata=locked("imports"), id="imports"),
    ]
    for number, exercise in enumerate(exercises, start=1):
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


def load_api(course: Path):
    """nbgrader's API for a course's folder, with the settings that lie there."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import PyFileConfigLoader

    # nbgrader calls alembic by its name; in an environment that is not activated it is not found.
    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.CourseDirectory.root = str(course.resolve())
    return NbGraderAPI(config=config)


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
    api = load_api(course)
    for name in names:
        made = api.generate_assignment(name, force=True, create=True)
        if not made["success"]:
            print(made["log"] or made["error"], file=sys.stderr)
            return 1
        print(os.path.join(course, "release", name, f"{name}.ipynb"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
