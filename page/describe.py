"""What the builder of the book has to know of the exercises, found without torch.

Usage: python page/describe.py, which prints JSON: for each chapter its exercises, with the stub,
and the reason where the page cannot check one. An exercise works if its solution passes here.
"""

from __future__ import annotations

import json
import sys
import traceback
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
REASON = "The page's Python cannot check it: {why}."


def hide_libraries() -> None:
    """Let this process be as bare as a page, whatever is installed."""
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    finder = import_module("placeholders").FINDER
    sys.meta_path.insert(0, finder)


def reason_of(chapter: str, exercise: object, check: object) -> str | None:
    """Why the page cannot check an exercise; None where it can."""
    try:
        found = check(chapter, exercise.name, exercise.source)
    except Exception as error:
        found = {"status": "raised", "error": str(error)}
        if "--why" in sys.argv:
            traceback.print_exception(error)
    if found["status"] == "passed":
        return None
    why = found.get("error") or found.get("text", "").splitlines()[0]
    return REASON.format(why=str(why).split("\n")[0].rstrip("."))


def described() -> dict[str, list[dict]]:
    """Every chapter's exercises that its page shows."""
    desk = import_module("desk")
    chapters = {}
    for path in sorted((HERE.parent / "bnkit" / "book").glob("ch[0-9][0-9].py")):
        module = desk.chapter_of(path.stem[2:])
        chapters[module.CHAPTER] = [
            {
                "name": exercise.name,
                "title": exercise.title,
                "answer": exercise.answer,
                "stub": exercise.stub,
                "in_book": exercise.in_book,
                "reason": reason_of(module.CHAPTER, exercise, desk.check),
            }
            for exercise in module.EXERCISES
        ]
    return chapters


if __name__ == "__main__":
    hide_libraries()
    json.dump(described(), sys.stdout)
