"""Grade a class with nbgrader, whatever its submissions do, and say what it got wrong.

Usage: python scripts/grade_class.py COURSE [CHAPTER ...]       (default: all that was handed in)

COURSE is the folder that `make assignment` made; COURSE/submitted/STUDENT/CHAPTER holds what came
back. Each submission is graded and gets its feedback; one that cannot be graded stops no other.
Then COURSE holds grades.csv, mistakes.csv and mistakes.png.
"""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

from bnkit.book.grading.course import load_course
from bnkit.book.grading.grades import NOT_HANDED_IN, NOT_RUN, grades, write_grades
from bnkit.book.grading.mistakes import count_mistakes, draw_mistakes, write_mistakes

WIDTH = 90  # characters of a reason in the table; grades.csv has it whole


def handed_in(course: Path, chapters: list[str]) -> list[tuple[str, str]]:
    """Assignment and student of each submission."""
    folders = sorted(path for path in course.glob("submitted/*/*") if path.is_dir())
    wanted = tuple(f"{int(c):02d}" if c.isdigit() else c for c in chapters)
    found = [f for f in folders if not wanted or f.name.startswith(wanted)]
    return [(f.name, f.parent.name) for f in found if (course / "source" / f.name).is_dir()]


def grade(api, course: Path, assignment: str, student: str) -> str:
    """Grade a submission and write its feedback; why that failed, or nothing."""
    try:
        failed = unknown_files(course, assignment, student)
        if not failed:
            done = api.autograde(assignment, student, force=True, create=True)
            failed = "" if done["success"] else reason(done["log"])
        if failed:
            forget(api, assignment, student)
            return failed
        done = api.generate_feedback(assignment, student, force=True)
        return "" if done["success"] else f"graded, but without feedback: {reason(done['log'])}"
    except Exception as error:  # the next student must not wait for this one
        return f"{type(error).__name__}: {error}"


def unknown_files(course: Path, assignment: str, student: str) -> str:
    """What is wrong where no notebook has the name of one that was handed out; else nothing."""
    released, back = (
        {path.name for path in (course / step / assignment).glob("*.ipynb")}
        for step in ("source", f"submitted/{student}")
    )
    if released & back:
        return ""
    found = ", ".join(sorted(back)) or "no notebook"
    return f"expected {' or '.join(sorted(released))}, found {found}"


def forget(api, assignment: str, student: str) -> None:
    """Leave no grade of a submission that could not be graded: neither zeros nor old ones."""
    with api.gradebook as book:
        book.update_or_create_student(student)
        submission = book.update_or_create_submission(assignment, student)
        for notebook in submission.notebooks:
            for each in notebook.grades:
                each.auto_score = None
        book.db.commit()


def reason(log: str) -> str:
    """The exception that ended it, as the log of nbgrader has it."""
    found = re.findall(r"^ +(?:\w+\.)*(\w+(?:Error|Exception|Died)\b.*)", log, re.MULTILINE)
    return found[-1] if found else (log.strip().splitlines() or ["nbgrader said nothing"])[-1]


def table(rows: list[dict]) -> str:
    """The grades for the terminal."""
    lines = []
    for row in rows:
        numeric = row["score"] not in (NOT_RUN, NOT_HANDED_IN)
        score = f"{row['score']} of {row['max_score']}" if numeric else row["score"]
        why = row["why"] if len(row["why"]) <= WIDTH else row["why"][:WIDTH] + " …"
        lines.append((row["assignment"], row["student"], score, why))
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    line = "  ".join(f"{{:{width}}}" for width in widths) + "  {}"
    return "\n".join(line.format(*each).rstrip() for each in lines)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    course = Path(arguments[0])
    submissions = handed_in(course, arguments[1:])
    if not submissions:
        print(f"expected submissions in {course / 'submitted'}, found none", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", module="nbgrader")  # of its database, to its authors
    api, why = load_course(course), {}
    for number, (assignment, student) in enumerate(submissions, start=1):
        print(f"{number} of {len(submissions)}: {student}, {assignment}", flush=True)
        why[assignment, student] = grade(api, course, assignment, student)
    assignments = sorted({assignment for assignment, _ in submissions})
    report(api, course, assignments, why)
    return 0


def report(api, course: Path, assignments: list[str], why: dict[tuple[str, str], str]) -> None:
    """Print the grades, and write them and the mistakes of the class into the course's folder."""
    with api.gradebook as book:
        rows = list(grades(book, course / "autograded", why))
    write_grades(rows, course / "grades.csv")
    print("\n" + table([row for row in rows if row["assignment"] in assignments]) + "\n")
    counts = count_mistakes(course / "autograded", assignments)
    write_mistakes(counts, course / "mistakes.csv")
    written = ["grades.csv", "mistakes.csv"]
    if counts:
        draw_mistakes(counts).savefig(course / "mistakes.png", dpi=150)
        written.append("mistakes.png")
    print(f"{course}: {', '.join(written)}, and feedback/ for each student")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
