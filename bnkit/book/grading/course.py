"""nbgrader's part of grading: what a course's ``nbgrader_config.py`` switches on."""

from __future__ import annotations

import atexit
import copy
import os
import sys
from functools import cache
from pathlib import Path

import nbgrader
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.apps import NbGraderAPI
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    Execute,
    LimitOutput,
    SaveAutoGrades,
)
from nbgrader.utils import is_grade
from traitlets import Bool, Float
from traitlets.config import Config, PyFileConfigLoader

from bnkit.book.grading.grades import ExportGrades
from bnkit.book.grading.notebook import Rules, exercise_of, judge_notebook
from bnkit.book.grading.workshop import Workshop
from bnkit.book.run import LIMIT

__all__ = ["ExerciseFeedback", "ExerciseJudge", "configure", "load_course"]

_FORMGRADER = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader"
TEMPLATES = Path(__file__).parent / "templates"
OF_NBGRADER = ("templates", "static/node_modules/bootstrap/dist/css")  # which ours extends
NO_KERNEL = "The kernel that runs the notebook ended before this test: {error}"


def configure(c: Config) -> None:
    """Let nbgrader judge the book's exercises in a process in which no answer runs."""
    after = [LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
    c.Autograde.autograde_preprocessors = [ExerciseJudge, *after]
    c.GenerateFeedback.exporter_class = ExerciseFeedback
    c.ExerciseFeedback.template_name = "exercises"
    c.ExerciseFeedback.extra_template_basedirs = [str(TEMPLATES)]
    c.ExerciseFeedback.extra_template_paths = [str(_FORMGRADER / each) for each in OF_NBGRADER]
    c.ExportApp.plugin_class = ExportGrades


class ExerciseJudge(Execute):
    """Judges the exercises; what else there is to test runs in a kernel, as nbgrader does it."""

    seconds = Float(LIMIT, help="Seconds that the answer to an exercise may take.").tag(config=True)
    credit_ready_made = Bool(
        False, help="Whether an answer that calls a ready-made layer or function earns points."
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Fill the outputs of all tests of a submission."""
        if any(is_grade(cell) and not exercise_of(cell) for cell in nb.cells):
            self._execute_the_rest(nb, resources)
        rules = Rules(ready_made=self.credit_ready_made, closed=[os.getcwd()])
        judge_notebook(nb, _workshop(self.seconds), rules)
        return nb, resources

    def _execute_the_rest(self, nb: NotebookNode, resources: dict) -> None:
        """Run a copy without the exercises' tests in a kernel, and take over its outputs."""
        ran = copy.deepcopy(nb)
        for cell in ran.cells:
            if is_grade(cell) and exercise_of(cell):
                cell.source = ""
        error = None
        try:
            super().preprocess(ran, resources)
        except Exception as exception:  # whatever the kernel died of, the others go on
            error = f"{type(exception).__name__}"
        for cell, from_kernel in zip(nb.cells, ran.cells, strict=True):
            if cell.cell_type == "code" and not (is_grade(cell) and exercise_of(cell)):
                cell.outputs = from_kernel.outputs
                if error and is_grade(cell) and from_kernel.execution_count is None:
                    cell.outputs = [_failure(NO_KERNEL.format(error=error))]


def _failure(message: str) -> NotebookNode:
    return new_output("error", ename="NotRun", evalue=message, traceback=[message])


def load_course(folder: Path) -> NbGraderAPI:
    """Nbgrader's API for a course's folder, with the settings that lie there and ours."""
    # nbgrader calls alembic by its name; in an environment that is not activated it is not found.
    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    if "autograde_preprocessors" not in config.Autograde:  # a course made by an older version
        configure(config)
    config.CourseDirectory.root = str(folder.resolve())
    return NbGraderAPI(config=config)


@cache
def _workshop(seconds: float) -> Workshop:
    """One process for all submissions that are graded in this one."""
    workshop = Workshop(seconds)
    atexit.register(workshop.close)
    return workshop


class ExerciseFeedback(HTMLExporter):
    """nbgrader's feedback, with the tests called by what they test, to be read on paper too."""
