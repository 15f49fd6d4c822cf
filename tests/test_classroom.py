"""An assignment goes the whole way: made, handed out, handed in, graded, given back."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from bnkit.book.registry import EXERCISES, exercises_of

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "make_assignment.py"
CHAPTER = "02_equations"
POINTS = 3  # of one exercise: 1 for the small case, 2 for all

ONE_EPSILON = """def batch_norm_2d(x, weight, bias, eps):
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=1e-5)"""
SCORES = {"right": 3 * POINTS, "half": POINTS + 1, "empty": 0}


def answers() -> dict[str, dict[str, str]]:
    """What each student hands in, by exercise; what is not there stays a stub."""
    names = [task.name for task in exercises_of(CHAPTER)]
    right = {name: EXERCISES[name].source for name in names}
    half = {"forward": right["forward"], "forward_2d": ONE_EPSILON}  # right for small epsilon
    return {"right": right, "half": half, "empty": {}}


def read(course: Path, step: str) -> nbformat.NotebookNode:
    return nbformat.read(course / step / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)


def kind(cell: nbformat.NotebookNode) -> dict:
    return cell.metadata["nbgrader"]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A course with one assignment, made by the command of `make assignment`."""
    pytest.importorskip("nbgrader", reason="needs the extra: pip install --editable '.[classroom]'")
    course = tmp_path_factory.mktemp("course")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(course), "02"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return course


@pytest.fixture(scope="module")
def graded(course: Path):
    """nbgrader's API after three students have handed in, been graded and got their feedback."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        from make_assignment import load_api
    finally:
        sys.path.remove(str(SCRIPT.parent))
    released = course / "release" / CHAPTER
    for student, given in answers().items():
        folder = course / "submitted" / student / CHAPTER
        shutil.copytree(released, folder)
        notebook = nbformat.read(folder / f"{CHAPTER}.ipynb", as_version=4)
        for cell in notebook.cells:
            name = re.sub("-answer$", "", kind(cell)["grade_id"]).replace("-", "_")
            if kind(cell)["solution"] and name in given:
                cell.source = given[name]
        nbformat.write(notebook, folder / f"{CHAPTER}.ipynb")
    api = load_api(course)
    for student in answers():
        for step in (api.autograde, api.generate_feedback):
            done = step(CHAPTER, student)
            assert done["success"], done["log"]
    return api


@pytest.mark.parametrize("student", SCORES)
def test_each_submission_gets_the_score_that_it_should(graded, student):
    with graded.gradebook as book:
        submission = book.find_submission(CHAPTER, student)
        assert (submission.score, submission.max_score) == (SCORES[student], 3 * POINTS)
        assert not submission.needs_manual_grade


def test_a_half_right_submission_gets_its_points_where_they_are_due(graded):
    with graded.gradebook as book:
        grades = book.find_submission_notebook(CHAPTER, CHAPTER, "half").grades
        points = {grade.name: grade.score for grade in grades}
    assert points == {
        "forward-small": 1,
        "forward-whole": 2,
        "forward-2d-small": 1,
        "forward-2d-whole": 0,
        "whiten-small": 0,
        "whiten-whole": 0,
    }


@pytest.mark.parametrize("student", SCORES)
def test_each_student_gets_a_feedback_page(graded, course, student):
    page = course / "feedback" / student / CHAPTER / f"{CHAPTER}.html"
    assert f"{SCORES[student]:.1f}" in page.read_text(encoding="utf-8")


def test_feedback_names_the_mistake(graded, course):
    page = course / "feedback" / "half" / CHAPTER / f"{CHAPTER}.html"
    text = page.read_text(encoding="utf-8")
    assert "Not yet" in text and "epsilon" in text


def test_the_release_holds_no_solution_and_no_hidden_test(course):
    text = (course / "release" / CHAPTER / f"{CHAPTER}.ipynb").read_text(encoding="utf-8")
    assert "BEGIN" not in text
    for task in exercises_of(CHAPTER):
        assert task.parts[1].splitlines()[-1].strip() not in text


def test_a_student_finds_the_stubs_of_the_book(course):
    cells = [cell for cell in read(course, "release").cells if kind(cell)["solution"]]
    assert [cell.source for cell in cells] == [task.stub for task in exercises_of(CHAPTER)]


def test_the_source_holds_the_solutions_of_the_book(course):
    cells = [cell for cell in read(course, "source").cells if kind(cell)["solution"]]
    lines = [re.sub(r"\n +### (BEGIN|END) SOLUTION", "", cell.source) for cell in cells]
    assert lines == [task.source for task in exercises_of(CHAPTER)]


def test_students_cannot_change_tests_and_statements(course):
    for cell in read(course, "release").cells:
        assert kind(cell)["locked"] != kind(cell)["solution"]
        assert kind(cell)["schema_version"] == 3


def test_an_unknown_chapter_is_told_which_there_are(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "99"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "expected one of 01_why_normalize" in done.stderr


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_can_become_a_cell_of_an_assignment(name):
    marked = EXERCISES[name].marked
    compile(marked, name, "exec")
    cleared = re.sub(
        r"### BEGIN SOLUTION.*### END SOLUTION", "raise NotImplementedError", marked, flags=re.S
    )
    assert cleared == EXERCISES[name].stub
