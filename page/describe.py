"""What the builder of the book has to know of the exercises, found without torch.

Usage: python page/describe.py [FOLDER], which prints JSON: for each chapter its exercises, with the
stub, and the reason where the page cannot check one. An exercise works if its solution passes here.
Into the folder comes what its checks compare answers with, a file for each exercise.
"""

from __future__ import annotations

import json
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
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


def described(exercise: object, chapter: str, folder: str | None) -> dict[str, object]:
    """What a page knows of an exercise; what its checks compare with is written into the folder."""
    reason = reason_of(chapter, exercise, import_module("desk").check)
    if folder and reason is None:
        text = import_module("baked").stored(exercise)
        Path(folder, f"{exercise.name}.json").write_text(text, encoding="utf-8")
    return {
        "name": exercise.name,
        "title": exercise.title,
        "answer": exercise.answer,
        "stub": exercise.stub,
        "in_book": exercise.in_book,
        "reason": reason,
    }


def chapter_described(number: str, folder: str | None = None) -> tuple[str, list[dict]]:
    """A chapter, and its exercises."""
    module = import_module("desk").chapter_of(number)
    return module.CHAPTER, [described(e, module.CHAPTER, folder) for e in module.EXERCISES]


def main(folders: list[str]) -> None:
    """Describe every chapter, two at a time."""
    paths = sorted((HERE.parent / "bnkit" / "book").glob("ch[0-9][0-9].py"))
    numbers, folder = [path.stem[2:] for path in paths], next(iter(folders), None)
    with ProcessPoolExecutor(2, initializer=hide_libraries) as pool:
        found = pool.map(chapter_described, numbers, [folder] * len(numbers))
        json.dump(dict(found), sys.stdout)


if __name__ == "__main__":
    main([each for each in sys.argv[1:] if not each.startswith("--")])
