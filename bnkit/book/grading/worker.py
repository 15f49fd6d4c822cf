"""The process in which answers run: it sees what they return, and does not know what is right.

``python -m bnkit.book.grading.worker`` reads jobs, one a line, and for each writes a line that
holds what the answer's process said. On Linux it forks for each job, so that no answer meets what
another one left; elsewhere it ends after the first. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import gc
import json
import linecache
import os
import select
import signal
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bnkit.book.exercise import Exercise, Mistake
from bnkit.book.grading.fence import hide, limit_resources, raise_fence
from bnkit.book.grading.landlock import adopt_orphans
from bnkit.book.grading.wire import encode, line, out_of_memory, text
from bnkit.book.observe import Observation, Probe
from bnkit.book.run import run_limited
from bnkit.book.theirs import own_line

__all__ = ["Task", "run_job", "serve", "take_tasks", "whole_time"]

FORKS = sys.platform.startswith("linux")  # macOS has libraries that do not survive it
MOST = 16 * 2**20  # bytes that an answer's process may say
FLOOD = '{"seen": "more than any exercise has"}'  # what is made of more than that
ROUNDS = 100  # in which what an answer left running is ended
GRACE = 5.0  # seconds beyond those of cells, answer and search
Say = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True)
class Task:
    """An exercise without its answer: a name, the experiments, the search for the first step."""

    answer: str
    probes: Sequence[Probe]
    locate: Callable | None


def take_tasks() -> dict[str, Task]:
    """Every exercise as a task; what gives answers away is then out of reach in this process."""
    from bnkit.book.registry import EXERCISES

    tasks = {e.name: Task(e.answer, tuple(e.probes), e.locate) for e in EXERCISES.values()}
    right = {id(f) for e in EXERCISES.values() for f in (e.solution, e.oracle)}
    hide(partial(_gives_away, right))
    sys.modules["bnkit.book.registry"].check = lambda *_, **__: types.SimpleNamespace(passed=True)
    gc.collect()
    return tasks


def _gives_away(right: set[int], value: object) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(_gives_away(right, each) for each in value)
    of_chapter = str(getattr(value, "__module__", "")).startswith("bnkit.book.ch")
    return isinstance(value, Exercise | Mistake) or (id(value) in right and of_chapter)


def run_job(task: Task, job: Mapping, say: Say) -> None:
    """Run the cells, then the experiments on what has the answer's name, and say what is seen."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    vars(module).update(get_ipython=partial(_Shell, module), display=lambda *_, **__: None)
    for number, source in job["cells"]:
        say({"cell": number})
        outcome = run_limited(partial(_run_cell, module, number, source), job["limit"])
        if outcome.stopped:
            return say({"stopped": True})
        if outcome.exception is not None:
            say({"raised": text(_line_of(outcome.exception))})
    if task.answer not in vars(module):
        return say({"missing": task.answer})
    answer = vars(module)[task.answer]
    say({"cell": None})
    seen = run_limited(partial(_observe, task, answer), job["limit"])
    if seen.stopped:
        return say({"stopped": True})
    if seen.exception is not None:
        return say({"ended": text(own_line(seen.exception))})
    search = partial(task.locate, answer) if task.locate else lambda: None
    stage = run_limited(search, job["limit"]).value
    say({"seen": [encode(each) for each in seen.value], "stage": stage and text(stage)})


def _line_of(exception: BaseException) -> str:
    """The exception of a cell and the line at fault; what is no Python has no frame that tells."""
    told = own_line(exception)
    if isinstance(exception, SyntaxError) and exception.text:
        return f"{told}\nin line {exception.lineno}: {str(exception.text).strip()}"
    return told


def _observe(task: Task, answer: Callable) -> list[Observation]:
    """What each experiment sees; none follows one for which the memory did not suffice."""
    seen: list[Observation] = []
    for probe in task.probes:
        seen.append(Observation.of(probe, answer))
        if out_of_memory(seen[-1]):
            break
    return seen


def _run_cell(module: types.ModuleType, number: int, source: str) -> None:
    name = f"<cell {number}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec", dont_inherit=True), vars(module))  # as in a notebook


class _Shell:
    """In place of IPython's shell: a cell's magic runs the cell, every other one does nothing."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def run_cell_magic(self, _name: str, _line: str, cell: str) -> None:
        exec(compile(cell, "<cell>", "exec", dont_inherit=True), vars(self._module))

    def __getattr__(self, name: str) -> Callable:
        return lambda *_, **__: None


def _answer_alone(task: Task, job: Mapping, out: int) -> None:
    """Run a job in this process, behind the fence."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.chdir(job["folder"])
    limit_resources(whole_time(job))
    raise_fence(job["folder"], job["closed"])
    write, end = os.write, os._exit  # kept from whatever the answer replaces

    def say(message: Mapping[str, object]) -> None:
        rest = line(message)
        while rest:
            rest = rest[write(out, rest) :]

    try:
        run_job(task, job, say)
    finally:
        end(0)  # with all its threads


def whole_time(job: Mapping) -> float:
    """Seconds after which a job is ended from outside, whatever it does."""
    return job["limit"] * 3 + GRACE


def _fork(task: Task, job: Mapping, out: int) -> dict[str, object]:
    """Run a job in a child: what it said, its exit code, and whether its time was up."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        os.close(out)
        _answer_alone(task, job, theirs)
    os.close(theirs)
    said, late = _listen(ours, time.monotonic() + whole_time(job))
    os.close(ours)
    for end in (partial(os.killpg, child), partial(os.kill, child)):
        with contextlib.suppress(OSError):
            end(signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    _end_orphans()
    if len(said) >= MOST:
        return {"said": FLOOD, "code": 0, "late": False}
    code = 0 if late else os.waitstatus_to_exitcode(status)
    return {"said": said.decode(errors="replace"), "code": code, "late": late}


def _end_orphans() -> None:
    """End what an answer left running, and what that starts in the meantime."""
    for _ in range(ROUNDS):
        children = [
            int(child)
            for each in Path("/proc/self/task").glob("*/children")
            for child in each.read_text(encoding="ascii").split()
        ]
        for child in children:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        if not children:
            return


def _listen(source: int, deadline: float) -> tuple[bytes, bool]:
    """What comes until the other end closes, or it is too much; True where the time is up."""
    said = bytearray()
    while len(said) < MOST:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            return bytes(said), True
        more = os.read(source, 65536)
        if not more:
            break
        said += more
    return bytes(said), False


def _warm(task: Task) -> None:
    """Import what the experiments import, once for all: PyTorch's optimizers take seconds."""
    for probe in task.probes:
        with contextlib.suppress(Exception):
            probe.run(lambda *_, **__: None)


def serve() -> None:
    """Answer jobs until there are none; the first line says that it is ready."""
    tasks, out = take_tasks(), os.dup(1)
    adopt_orphans()
    os.set_inheritable(out, False)
    warm: set[str] = set()
    os.write(out, line({"ready": True}))
    for asked in sys.stdin.buffer:
        job = json.loads(asked)
        task = tasks[job["exercise"]]
        if not FORKS:
            _answer_alone(task, job, out)  # says its messages itself, and ends
        if job["exercise"] not in warm:
            warm.add(job["exercise"])
            _warm(task)
        os.write(out, line(_fork(task, job, out)))


if __name__ == "__main__":
    serve()
