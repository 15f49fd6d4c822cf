"""The grades of a course as rows of a table; who could not be graded has no number."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbgrader.api import Assignment, Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import ExportPlugin

from bnkit.book.grading.notebook import verdicts_in

__all__ = ["NOT_HANDED_IN", "NOT_RUN", "ExportGrades", "grades", "write_grades"]

NOT_RUN, NOT_HANDED_IN = "not run", "not handed in"
COLUMNS = ["assignment", "student", "last_name", "first_name", "email", "handed_in"]
COLUMNS += ["score", "max_score", "late_penalty", "why"]
UNGRADED = "some tests have no grade yet"


def grades(book: Gradebook, graded: Path, why: dict[tuple[str, str], str]) -> Iterator[dict]:
    """A row for each student and assignment; `graded` holds the graded notebooks.

    `why` tells, by assignment and student, what ended a grading.
    """
    for assignment in book.assignments:
        for student in book.students:
            row = {"assignment": assignment.name, "student": student.id, "email": student.email}
            row |= {"last_name": student.last_name, "first_name": student.first_name}
            row |= {"max_score": f"{assignment.max_score:g}"}
            row |= _score(book, assignment, student.id)
            told = [why.get((assignment.name, student.id)), row.get("why")]
            if row["score"] not in (NOT_RUN, NOT_HANDED_IN):
                told.append(_remarks(graded / student.id / assignment.name))
            row["why"] = "; ".join(filter(None, told[:1] if told[0] and told[1] else told))
            yield {name: "" if row.get(name) is None else str(row[name]) for name in COLUMNS}


def _score(book: Gradebook, assignment: Assignment, student: str) -> dict[str, object]:
    try:
        submission = book.find_submission(assignment.name, student)
    except MissingEntry:
        return {"score": NOT_HANDED_IN}
    row = {"handed_in": submission.timestamp, "late_penalty": submission.late_submission_penalty}
    if not _graded(submission):
        return row | {"score": NOT_RUN, "why": UNGRADED}
    return row | {"score": f"{max(0.0, submission.score - (row['late_penalty'] or 0)):g}"}


def _graded(submission: SubmittedAssignment) -> bool:
    found = [grade for notebook in submission.notebooks for grade in notebook.grades]
    return all(g.auto_score is not None or g.manual_score is not None for g in found)


def _remarks(folder: Path) -> str:
    """Why a student has no points where an answer ended or did not end."""
    found = []
    for path in sorted(folder.glob("*.ipynb")):
        told = verdicts_in(nbformat.read(path, as_version=4))
        found += [
            f"{each['exercise']}: {each['verdict']}"
            for each in told
            if each["status"] in ("stopped", "raised", "ready-made")
        ]
    return "; ".join(found)


def write_grades(rows: list[dict], path: Path) -> None:
    """The rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


class ExportGrades(ExportPlugin):
    """``nbgrader export`` with "not run" and "not handed in" in place of 0.0."""

    def export(self, gradebook: Gradebook) -> None:
        """Write the grades of the students and assignments that are asked for."""
        course = CourseDirectory(parent=self)
        rows = grades(gradebook, Path(course.root) / course.autograded_directory, {})
        wanted = [
            row
            for row in rows
            if (not self.student or row["student"] in map(str, self.student))
            and (not self.assignment or row["assignment"] in map(str, self.assignment))
        ]
        write_grades(wanted, Path(self.to or "grades.csv"))
