"""An assignment goes the whole way: made, handed out, handed in, graded, given back."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from bnkit.book.registry import EXERCISES, exercises_of

pytest.importorskip("nbgrader", reason="needs the extra: pip install --editable '.[classroom]'")

from nbgrader.apps import ExportApp

from bnkit.book.grading.course import ExerciseJudge, load_course
from bnkit.book.grading.grades import NOT_HANDED_IN, NOT_RUN
from bnkit.book.grading.mistakes import RIGHT, count_mistakes, draw_mistakes

ROOT = Path(__file__).parents[1]
CHAPTER = "02_equations"
NAMES = [task.name for task in exercises_of(CHAPTER)]
RIGHT_ANSWERS = {name: EXERCISES[name].source for name in NAMES}
POINTS = 3  # of one exercise: 1 for the smallest input, 2 for all
SECONDS = 5.0
PNG = b"\x89PNG"

FORWARD = RIGHT_ANSWERS["forward"]
NO_BETA = FORWARD.replace(" + bias", "")
ONE_EPSILON = RIGHT_ANSWERS["forward_2d"].replace("+ eps", "+ 1e-5")
READY_MADE = """def batch_norm_train(x, weight, bias, eps):
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)"""
TAMPERS = f"""import bnkit.book.registry, bnkit.book.exercise
torch.allclose = lambda *a, **k: True
bnkit.book.registry.check = lambda *a, **k: type("Right", (), {{"passed": True}})()
bnkit.book.exercise.judge = bnkit.book.registry.check
{NO_BETA}"""


def first_line(line: str) -> str:
    """The forward pass with a line in front of its first one."""
    head, body = EXERCISES["forward"].parts
    return f"{head}\n    {line}\n{body}"


CLASS = {  # by student: the answers, what is left out stays a stub; then the points
    "perfect": (RIGHT_ANSWERS, 3 * POINTS),
    "empty": ({}, 0),
    "beta": (RIGHT_ANSWERS | {"forward": NO_BETA}, 2 * POINTS + 1),
    "half": ({"forward": FORWARD, "forward_2d": ONE_EPSILON}, POINTS + 1),
    "kills": (RIGHT_ANSWERS | {"forward": first_line("import os; os._exit(0)")}, 2 * POINTS),
    "loops": (RIGHT_ANSWERS | {"forward": first_line("while True: pass")}, 2 * POINTS),
    "tampers": ({"forward": TAMPERS}, 1),
    "peeks": (RIGHT_ANSWERS | {"forward": first_line("open(COURSE).read()")}, 2 * POINTS),
    "borrows": ({"forward": READY_MADE, "whiten": RIGHT_ANSWERS["whiten"]}, POINTS),
}
UNREADABLE = ("no_notebook", "other_name")


def run(name: str, *arguments: str) -> tuple[int, str, str]:
    """Run a script in this process, which has PyTorch already: exit code, output, errors."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = module.main(list(arguments))
    return code, out.getvalue(), errors.getvalue()


def read(course: Path, step: str) -> nbformat.NotebookNode:
    return nbformat.read(course / step / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)


def kind(cell: nbformat.NotebookNode) -> dict:
    return cell.metadata["nbgrader"]


def answer_cells(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    """The cells that students fill, by exercise."""
    ids = {kind(cell)["grade_id"]: cell for cell in notebook.cells if kind(cell)["solution"]}
    return {re.sub("-answer$", "", name).replace("-", "_"): cell for name, cell in ids.items()}


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A course with one assignment, made by the command of `make assignment`."""
    course = tmp_path_factory.mktemp("course")
    code, _, errors = run("make_assignment", str(course), "02")
    assert code == 0, errors
    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write(f"c.ExerciseJudge.seconds = {SECONDS}\n")
    return course


@pytest.fixture(scope="module")
def graded(course: Path) -> str:
    """What `make grade` prints for the class."""
    for student, (given, _) in CLASS.items():
        folder = course / "submitted" / student / CHAPTER
        shutil.copytree(course / "release" / CHAPTER, folder)
        notebook = nbformat.read(folder / f"{CHAPTER}.ipynb", as_version=4)
        for name, cell in answer_cells(notebook).items():
            other = course / "submitted" / "perfect" / CHAPTER / f"{CHAPTER}.ipynb"
            cell.source = given.get(name, cell.source).replace("COURSE", repr(str(other)))
        nbformat.write(notebook, folder / f"{CHAPTER}.ipynb")
    for student in UNREADABLE:
        (course / "submitted" / student / CHAPTER).mkdir(parents=True)
    (course / "submitted" / "no_notebook" / CHAPTER / f"{CHAPTER}.ipynb").write_text("{ no")
    (course / "submitted" / "other_name" / CHAPTER / "mine.ipynb").write_text("{}")
    with load_course(course).gradebook as book:
        book.add_student("absent")
    code, printed, errors = run("grade_class", str(course))
    assert code == 0, errors
    return printed


@pytest.fixture(scope="module")
def rows(course: Path, graded: str) -> dict[str, dict[str, str]]:
    """The lines of grades.csv by student."""
    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("student", CLASS)
def test_each_submission_gets_the_score_that_it_should(rows, student):
    assert rows[student]["score"] == str(CLASS[student][1]), rows[student]["why"]
    assert rows[student]["max_score"] == str(3 * POINTS)


def test_who_could_not_be_graded_has_no_number_and_a_reason(rows):
    assert {rows[student]["score"] for student in UNREADABLE} == {NOT_RUN}
    assert "JSON" in rows["no_notebook"]["why"]
    assert "found mine.ipynb" in rows["other_name"]["why"]
    assert rows["absent"]["score"] == NOT_HANDED_IN


@pytest.mark.parametrize(
    "student, word",
    [
        ("kills", "ended the process"),
        ("loops", "never ends"),
        ("borrows", "ready-made"),
        ("peeks", "does not read"),
    ],
)
def test_a_zero_says_why(rows, graded, student, word):
    assert word in rows[student]["why"] and "forward" in rows[student]["why"]
    assert re.search(rf"{student} .* {CLASS[student][1]} of 9 ", graded)


def test_the_table_has_every_student(graded):
    table = graded.split("\n\n")[1].splitlines()
    assert len(table) == len(CLASS) + len(UNREADABLE) + 1


def test_a_half_right_submission_gets_its_points_where_they_are_due(graded, course):
    with load_course(course).gradebook as book:
        grades = book.find_submission_notebook(CHAPTER, CHAPTER, "half").grades
        points = {grade.name: grade.score for grade in grades}
        assert not any(grade.needs_manual_grade for grade in grades)
    assert points == {
        "forward-small": 1,
        "forward-whole": 2,
        "forward-2d-small": 1,
        "forward-2d-whole": 0,
        "whiten-small": 0,
        "whiten-whole": 0,
    }


@pytest.fixture(scope="module")
def feedback(course: Path, graded: str) -> dict[str, str]:
    """The feedback of each student as text, without style and scripts."""
    pages = {path.parts[-3]: path for path in course.glob("feedback/*/*/*.html")}
    texts = {student: path.read_text(encoding="utf-8") for student, path in pages.items()}
    bare = r"<(style|script)\b.*?</\1>|<[^>]+>"
    return {s: re.sub(bare, "", text, flags=re.DOTALL) for s, text in texts.items()}


@pytest.mark.parametrize("student", CLASS)
def test_each_student_gets_a_feedback_page_with_points(feedback, student):
    assert re.search(rf"{student}: {CLASS[student][1]} of\s+9 points", feedback[student])


def test_feedback_names_the_mistake_and_shows_its_sample_once(feedback):
    assert "Not yet: beta forgotten" in feedback["beta"]
    assert feedback["beta"].count("expected output") == 1
    assert "Reread chapter 2" in feedback["beta"]


def test_feedback_calls_each_test_by_what_it_tests(feedback):
    for task in exercises_of(CHAPTER):
        for case in ("the smallest input", "all inputs"):
            assert f"{task.title}: {case}" in feedback["beta"]
    assert "Test cell" not in feedback["beta"] and "do not see" not in feedback["beta"]


@pytest.mark.parametrize("student", ["empty", "half", "kills", "loops", "tampers"])
def test_feedback_leaks_no_solution(feedback, student):
    for name in NAMES:
        if CLASS[student][0].get(name) != RIGHT_ANSWERS[name]:
            last = EXERCISES[name].parts[1].splitlines()[-1].strip()
            own = CLASS[student][0].get(name, "")
            assert last in own or last not in feedback[student]


def test_the_mistakes_of_the_class_are_counted(course, graded):
    counts = count_mistakes(course / "autograded", [CHAPTER])
    assert counts["forward"] == {
        RIGHT: 2,
        "an exception: PermissionError": 1,
        "beta forgotten": 2,
        "it did not finish": 2,
        "a ready-made answer": 1,
        "not started": 1,
    }
    assert counts["forward_2d"]["epsilon fixed"] == 1
    with (course / "mistakes.csv").open(encoding="utf-8", newline="") as file:
        found = {(r["exercise"], r["mistake"]): int(r["students"]) for r in csv.DictReader(file)}
    assert found == {(n, label): k for n, each in counts.items() for label, k in each.items()}


def test_the_picture_has_a_bar_for_each_mistake(course, graded):
    assert (course / "mistakes.png").read_bytes().startswith(PNG)
    counts = count_mistakes(course / "autograded", [CHAPTER])
    axes = draw_mistakes(counts).axes
    assert [ax.get_title(loc="left") for ax in axes] == [EXERCISES[name].title for name in counts]
    widths = [sorted(bar.get_width() for bar in ax.patches) for ax in axes]
    assert widths == [sorted(counts[name].values()) for name in counts]


def test_nbgrader_export_tells_who_was_not_run(course, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(course)
    app = ExportApp()
    app.initialize(["--to", str(tmp_path / "out.csv")])
    app.start()
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        exported = {row["student"]: row["score"] for row in csv.DictReader(file)}
    assert exported == {student: row["score"] for student, row in rows.items()}


def test_a_ready_made_answer_earns_points_where_the_course_says_so(course, graded):
    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write("c.ExerciseJudge.credit_ready_made = True\n")
    api = load_course(course)
    done = api.autograde(CHAPTER, "borrows", force=True)
    assert done["success"], done["log"]
    with api.gradebook as book:
        assert book.find_submission(CHAPTER, "borrows").score == 2 * POINTS


def test_a_teachers_own_test_runs_in_a_kernel_and_fails_where_it_ends(course, monkeypatch):
    monkeypatch.chdir(course)
    notebook = read(course, "release")
    answer_cells(notebook)["forward"].source = FORWARD
    own = {"grade": True, "solution": False, "grade_id": "own", "points": 1, "locked": True}
    ends = new_code_cell("import os; os._exit(0)")
    notebook.cells += [new_code_cell("assert True", metadata={"nbgrader": own})]
    after = [new_code_cell("assert True", metadata={"nbgrader": own | {"grade_id": "after"}})]
    notebook.cells += [ends, *after]
    judge = ExerciseJudge(seconds=SECONDS)  # those of the course: the same process
    judged, _ = judge.preprocess(notebook, {"metadata": {"path": str(course)}})
    found = {
        kind(c)["grade_id"]: c.get("outputs") for c in judged.cells if "nbgrader" in c.metadata
    }
    assert found["own"] == [] and found["after"][0].output_type == "error"
    assert found["forward-whole"][0].data["text/plain"] == "2"
    assert found["whiten-whole"][0].data["text/plain"] == "0"


def test_the_release_holds_no_solution_and_no_mark_of_one(course):
    text = (course / "release" / CHAPTER / f"{CHAPTER}.ipynb").read_text(encoding="utf-8")
    assert "BEGIN" not in text and "do not see" not in text
    for task in exercises_of(CHAPTER):
        assert task.parts[1].splitlines()[-1].strip() not in text


def test_a_student_finds_the_stubs_of_the_book(course):
    cells = answer_cells(read(course, "release"))
    assert {name: cell.source for name, cell in cells.items()} == {
        task.name: task.stub for task in exercises_of(CHAPTER)
    }


def test_the_source_holds_the_solutions_of_the_book(course):
    cells = answer_cells(read(course, "source"))
    mark = r"\n +### (BEGIN|END) SOLUTION"
    assert {name: re.sub(mark, "", cell.source) for name, cell in cells.items()} == RIGHT_ANSWERS


def test_students_cannot_change_tests_and_statements(course):
    for cell in read(course, "release").cells:
        assert kind(cell)["locked"] != kind(cell)["solution"]
        assert kind(cell)["schema_version"] == 3


def test_an_unknown_chapter_is_told_which_there_are(tmp_path):
    code, _, errors = run("make_assignment", str(tmp_path), "99")
    assert code == 2
    assert "expected one of 01_why_normalize" in errors


def test_a_course_without_submissions_is_told_where_they_belong(tmp_path):
    code, _, errors = run("grade_class", str(tmp_path))
    assert code == 2
    assert str(tmp_path / "submitted") in errors


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_can_become_a_cell_of_an_assignment(name):
    marked = EXERCISES[name].marked
    compile(marked, name, "exec")
    cleared = re.sub(
        r"### BEGIN SOLUTION.*### END SOLUTION", "raise NotImplementedError", marked, flags=re.S
    )
    assert cleared == EXERCISES[name].stub
