"""What the page's Python does: opens a chapter's exercises, checks an answer, runs code.

The checks are those of the notebook: the same files of `bnkit.book`, run over the page's torch.
Decided by trying: over all exercises this torch names the mistakes that PyTorch names, so that
nothing is written twice. Only what the known mistakes look like is found when the book is built
(`baked.py`): the first wrong answer took seconds while a page computed them all, and takes a tenth
of one now. Where that is missing it is computed piece by piece while the reader writes (`warm`).
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import io
import linecache
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType

from placeholders import absent_libraries

__all__ = ["chapter_of", "check", "exercise_of", "open_chapter", "run", "stopped", "warm"]

FILE = "<your code>"
SHOWN = 20_000  # characters of what is printed
NOBODY = "input() has nobody to ask in a check; give the value as an argument instead"
ENDLESS = "It ran for {limit:g} seconds without returning. Look for a loop that never ends."

_chapters: dict[str, ModuleType] = {}
_pending: dict[str, Iterator[None]] = {}


class _Watch:
    """Whoever must know when a learner's code begins to run and when it has ended."""

    tell: Callable[[bool], object] | None = None


@contextlib.contextmanager
def theirs_runs() -> Iterator[None]:
    """Tell that code runs that may never end; not so of our own that is run meanwhile."""
    lazily = sys.modules.get("lazily")  # not there before a chapter is
    tell = None if lazily and lazily.Run.running else _Watch.tell
    if tell:
        tell(True)
    try:
        yield
    finally:
        if tell:
            tell(False)


class _Thread:
    """Runs its work at once: a page has no threads, and its worker is ended from outside."""

    ident = 0

    def __init__(self, target: object = None, daemon: bool = True, **_options: object) -> None:
        self.target = target

    def start(self) -> None:
        """Do the work."""
        with theirs_runs():
            self.target()

    def join(self, timeout: float | None = None) -> None:
        """It is done."""

    def is_alive(self) -> bool:
        """It is done."""
        return False


def _shown(printed: io.StringIO) -> str:
    """The beginning of what was printed, and how much more there was."""
    text = printed.getvalue()
    more = len(text) - SHOWN
    end = f"\n… and {more:,} characters more, which the page leaves out." if more > 0 else ""
    return text[:SHOWN] + end


def _ask(*_prompt: object) -> str:
    raise RuntimeError(NOBODY)


def chapter_of(number: str) -> ModuleType:
    """The file of a chapter, loaded where it is not there yet."""
    if number not in _chapters:
        with absent_libraries():
            _chapters[number] = importlib.import_module(f"bnkit.book.ch{number}")
            importlib.import_module("lazily").compute_lazily()
        importlib.import_module("bnkit.book.guard").remember()
    return _chapters[number]


def open_chapter(chapter: str, tick: Callable[[bool], object] | None = None) -> list[str]:
    """Load a chapter's exercises; return their names."""
    if sys.platform == "emscripten":
        threading.Thread = _Thread
        _Watch.tell = tick or _Watch.tell
        builtins.input = _ask
        time.thread_time = time.perf_counter  # it has no other clock
    return [exercise.name for exercise in chapter_of(chapter[:2]).EXERCISES]


def exercise_of(chapter: str, name: str) -> object:
    """An exercise of a chapter, by its name."""
    return next(e for e in chapter_of(chapter[:2]).EXERCISES if e.name == name)


def _executed(code: str) -> dict[str, object]:
    """The names that the code makes, with a chapter's imports there already."""
    with absent_libraries():
        from bnkit.book.exercise import IMPORTS

    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    names: dict[str, object] = {"__name__": "__main__", **IMPORTS}
    sys.modules["__main__"].__dict__.update(names)
    with theirs_runs():
        exec(compile(code, FILE, "exec"), names)
    return names


def _told(error: BaseException) -> str:
    """An error in plain words, with the learner's own line."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        line = (error.text or "").strip()
        return f"{type(error).__name__} in line {error.lineno}: {error.msg}\n{line}"
    if isinstance(error, RecursionError):
        message = "RecursionError: the code calls itself without end"
    elif isinstance(error, MemoryError):
        message = "MemoryError: the code asks for more memory than a page has"
    elif isinstance(error, SystemExit):
        message = "SystemExit: the code ended Python; the page goes on"
    else:
        message = traceback.format_exception_only(error)[-1].strip()
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == FILE]
    return f"{message}\nin line {own[-1].lineno}: {own[-1].line}" if own else message


def run(code: str) -> dict[str, object]:
    """Run code, and tell what it printed and what ended it."""
    printed, error = io.StringIO(), None
    before, sys.stdout = sys.stdout, printed
    try:
        _executed(code)
    except BaseException as exception:
        error = _told(exception)
    finally:
        sys.stdout = before
    return {"printed": _shown(printed), "error": error}


def check(chapter: str, name: str, code: str) -> dict[str, object]:
    """Check an answer: what was found as the notebook shows it, and what the code printed."""
    exercise = exercise_of(chapter, name)
    from bnkit.book.exercise import examine

    printed, found, error = io.StringIO(), None, None
    before, sys.stdout = sys.stdout, printed
    try:
        names = _executed(code)
        if exercise.answer not in names:
            error = f"Your code makes nothing called {exercise.answer}. Is the name as in the stub?"
        else:
            found = examine(exercise, names[exercise.answer])
    except BaseException as exception:
        error = _told(exception)
    finally:
        sys.stdout = before
    answer = {"printed": _shown(printed), "error": error}
    if found is None:
        return answer | {"status": "not run"}
    ready = found.passed and bool(found.ready_made)
    told = {"status": found.status, "html": found._repr_html_(), "text": repr(found)}
    return answer | told | {"ready_made": ready}


def stopped(name: str, seconds: float) -> str:
    """What is shown of an answer that was ended from outside."""
    from bnkit.book.result import CheckResult

    return CheckResult(name, "stopped", hint=ENDLESS.format(limit=seconds))._repr_html_()


def warm(chapter: str, name: str) -> bool:
    """Compute one more of what the checks of an exercise need; False when nothing is left."""
    from lazily import pending

    exercise = exercise_of(chapter, name)
    steps = _pending.setdefault(name, pending(exercise))
    return next(steps, False) is None
