"""From what an answer's process said to a verdict; no answer runs here."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from IPython.core.inputtransformer2 import TransformerManager

from bnkit.book.exercise import Exercise
from bnkit.book.grading.wire import out_of_memory
from bnkit.book.grading.workshop import Report, Workshop
from bnkit.book.judge import judge
from bnkit.book.result import CheckResult

__all__ = ["Cell", "Verdict", "verdict"]

UNTOUCHED = "The cell is as it was handed out."
MISSING = "No cell defines {answer}."
RAISED = "The cell that should define {answer} raised an exception."
ENDLESS = "It ran for {limit:g} seconds without returning. Look for a loop that never ends."
ENDED = "It ended the process that ran it{how}, so nothing could be judged."
TOLD_NOTHING = "What came back is no result of this exercise, so nothing could be judged."
MEMORY = "It asked for more memory than an answer may have."


@dataclass(frozen=True)
class Cell:
    """A code cell of a submission: its number, its source, and whether it holds the answer."""

    number: int
    source: str
    of_answer: bool = False


@dataclass(frozen=True)
class Verdict:
    """What was found on all inputs, whether the smallest was right, and which cells must go.

    Those that ended the process or did not end are `ends`: the next exercise does without them.
    """

    whole: CheckResult
    smallest: bool
    ends: tuple[int, ...] = ()

    @property
    def right(self) -> bool:
        """Whether all results agree."""
        return self.whole.passed


def verdict(
    exercise: Exercise, cells: Sequence[Cell], workshop: Workshop, closed: Sequence[str] = ()
) -> Verdict:
    """Judge the answer that the cells make; another cell that ends its process is left out."""
    cells, ends = list(cells), []
    if _untouched(exercise, cells):
        return Verdict(CheckResult(exercise.name, "not started", hint=UNTOUCHED), False)
    while True:
        sources = [(cell.number, _plain_python(cell.source)) for cell in cells]
        report = workshop.run(exercise.name, sources, closed)
        last = next((cell for cell in cells if cell.number == report.cell), None)
        if last is not None and report.seen is None and not report.missing:
            ends.append(last.number)
        if report.seen is not None or last is None or last.of_answer:
            found = _of_report(exercise, report, cells, workshop.limit)
            return replace(found, ends=tuple(ends))
        cells.remove(last)


def _untouched(exercise: Exercise, cells: Sequence[Cell]) -> bool:
    """Whether the answer is the stub, and no other cell speaks of it."""
    own = [cell.source.strip() for cell in cells if cell.of_answer]
    others = [cell for cell in cells if not cell.of_answer]
    return own == [exercise.stub.strip()] and not any(exercise.answer in c.source for c in others)


def _plain_python(source: str) -> str:
    """A cell without what only a notebook understands."""
    return TransformerManager().transform_cell(source)


def _of_report(exercise: Exercise, report: Report, cells: Sequence[Cell], limit: float) -> Verdict:
    seen = report.seen or []
    whole_run = len(seen) == len(exercise.probes) and not any(map(out_of_memory, seen))
    if whole_run and not report.garbled:
        whole = judge(exercise, report.seen, lambda: report.stage)
        first = replace(exercise, probes=exercise.probes[:1], mistakes=())
        return Verdict(whole, judge(first, report.seen[:1]).passed)
    told = _why_not(exercise, report, cells, limit)
    return Verdict(replace(told, exercise=exercise.name), False)


def _why_not(
    exercise: Exercise, report: Report, cells: Sequence[Cell], limit: float
) -> CheckResult:
    """Why there is nothing to judge."""
    errors = [report.raised[c.number] for c in cells if c.of_answer and c.number in report.raised]
    if report.missing and errors:
        hint = RAISED.format(answer=exercise.answer)
        return CheckResult("", "raised", hint=hint, error=errors[0])
    if report.missing:
        return CheckResult("", "not started", hint=MISSING.format(answer=exercise.answer))
    if report.stopped or report.late:
        return CheckResult("", "stopped", hint=ENDLESS.format(limit=limit))
    if report.ended:
        return CheckResult("", "raised", error=report.ended)
    if report.seen and not report.garbled and out_of_memory(report.seen[-1]):
        return CheckResult("", "raised", hint=MEMORY, error=report.seen[-1].error)
    if report.garbled or report.seen is not None:
        return CheckResult("", "stopped", hint=TOLD_NOTHING)
    return CheckResult("", "stopped", hint=ENDED.format(how=_how(report.code)))


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f" with exit code {code}"
    names = {each.value: each.name for each in signal.Signals}
    return f" by the signal {names.get(-code, -code)}"
