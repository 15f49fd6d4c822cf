"""An exercise as one object, its mistakes as patches of the solution, and how an answer is run.

A mistake says what it changes in the solution that readers see, such as ``" + bias -> "``. The
changed source is executed with a chapter's imports, so that solution and catalogue cannot drift
apart, and two mistakes can be made at once. The oracle is independent of the solution.
"""

from __future__ import annotations

import ast
import copy
import inspect
import math
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import combinations, pairwise, permutations, product

import torch
import torch.nn.functional as F
from torch import nn

from bnkit.book.guard import apart, put_back
from bnkit.book.judge import judge
from bnkit.book.later import Run
from bnkit.book.observe import Observation, Probe, first_difference
from bnkit.book.result import CheckResult, Sample
from bnkit.book.run import LIMIT, Outcome, run_limited, run_ours
from bnkit.book.slips import Slip, slips_of
from bnkit.book.theirs import own_line

__all__ = ["Exercise", "Mistake", "Patch", "compose", "examine", "execute", "pairs"]

IMPORTS = {"copy": copy, "math": math, "torch": torch, "F": F, "nn": nn}  # of every chapter
STUCK = 20  # times as long as any input before

HANG = (
    "It did not end: {limit:g} seconds passed without a result for the input below. Look for a "
    "loop that never ends."
)
SLOW = (
    "It is slow, and not endless: it returned for {done} of {all} small inputs within {limit:g} "
    "seconds. Is there work that is done again and again, or a pause?"
)
INTERRUPTED = "You interrupted it after {seconds:.0f} seconds."
SO_FAR = " What it returned until then is right."
WRONG_SO_FAR = " What it returned until then is wrong already: see {what}."
BROKEN = "Not your code failed but the check, with {error}. Please report it."
PUT_BACK = "Your code replaced {names}. It is as before now."
TOOK_LONG = "It took {seconds:.0f} seconds for these few small inputs: right, and slow."


@dataclass(frozen=True)
class Patch:
    """One change of a source: a text that occurs once, or everywhere if `all`, and its successor.

    Example:
        >>> Patch(" + bias", "").apply("weight * x_hat + bias")
        'weight * x_hat'
    """

    old: str
    new: str
    all: bool = False

    @classmethod
    def of(cls, text: str) -> Patch:
        """The patch that ``"old -> new"`` stands for, without one space on each side of ``->``."""
        old, arrow, new = text.partition("->")
        if not arrow or "->" in new:
            raise ValueError(f"expected 'old -> new' with one arrow, got {text!r}")
        return cls(old.removesuffix(" "), new.removeprefix(" "))

    def apply(self, source: str) -> str:
        """The changed source."""
        count = source.count(self.old)
        if not count or (count > 1 and not self.all):
            raise ValueError(f"expected {self.old!r} once in the solution, found it {count} times")
        return source.replace(self.old, self.new)


Change = str | Patch | tuple[str | Patch, ...] | Callable


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make.

    Args:
        name: What the learner is told.
        section: What to reread, as ``"02_equations.ipynb#Which axes?"``.
        change: What it changes in the solution: ``"old -> new"``, a `Patch`, or several of them at
            once; a callable where it has many lines of its own.
        hint: A question or an experiment that leads to it.
        also: Other ways to make it that look different from outside.

    Example:
        >>> section = "02_equations.ipynb#Scale and shift"
        >>> Mistake("beta forgotten", section, " + bias -> ", "What is y at x_hat = 0?").versions
        (' + bias -> ',)
    """

    name: str
    section: str
    change: Change
    hint: str
    also: tuple[Change, ...] = ()

    @property
    def versions(self) -> tuple[Change, ...]:
        """All ways to make it."""
        return (self.change, *self.also)


@dataclass(frozen=True)
class Exercise:
    """What a learner is given, what an answer must do, and what is known of wrong ones.

    Args:
        name: Unique in the book.
        chapter: The notebook's name without its ending.
        title: A few words.
        statement: What to write, with the signature, in one or two sentences; code may stand
            between backticks.
        hints: Two or three, from a nudge to a lead.
        solution: A right answer as a learner would write it, with the imports of a chapter alone;
            its source is what is shown, handed out and patched.
        oracle: A right answer by other means, such as PyTorch's.
        probes: Experiments, the smallest first.
        mistakes: The known wrong answers.
        section: What to reread after a mistake that nobody knows.
        locate: Maps a wrong answer to the first step at which values part; None means the first
            result that differs.
        in_book: Whether the chapter shows it; the others are for assignments.
        allows: Ready-made layers or functions that an answer may call, such as ``"F.batch_norm"``,
            beside those that the solution calls.
        without: What counts as ready-made here alone, such as ``"autograd"``.

    Example:
        >>> from bnkit.book.registry import EXERCISES
        >>> print(EXERCISES["to_pytorch"].stub)
        def to_pytorch(keras_momentum):
            raise NotImplementedError
    """

    name: str
    chapter: str
    title: str
    statement: str
    hints: tuple[str, ...]
    solution: Callable
    oracle: Callable
    probes: Sequence[Probe]
    mistakes: Sequence[Mistake]
    section: str
    locate: Callable[[Callable], str | None] | None = None
    in_book: bool = True
    allows: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The name that the learner gives to the function or class."""
        return self.solution.__name__

    @cached_property
    def source(self) -> str:
        """The solution's source."""
        return textwrap.dedent(inspect.getsource(self.solution)).strip()

    @property
    def stub(self) -> str:
        """The solution up to its first body, and a line that raises NotImplementedError."""
        head, body = self.parts
        return f"{head}\n{_indent(body)}raise NotImplementedError"

    @cached_property
    def parts(self) -> tuple[str, str]:
        """The source up to the first line of a body, and from there on."""
        node = ast.parse(self.source).body[0]
        if isinstance(node, ast.ClassDef):
            node = node.body[0]  # its first method
        lines, at = self.source.splitlines(), node.body[0].lineno - 1
        while lines[at - 1].lstrip().startswith("#"):
            at -= 1  # a comment before the first statement belongs to the body
        return "\n".join(lines[:at]), "\n".join(lines[at:])

    @property
    def marked(self) -> str:
        """The source with nbgrader's marks around what a student writes."""
        head, body = self.parts
        space = _indent(body)
        return f"{head}\n{space}### BEGIN SOLUTION\n{body}\n{space}### END SOLUTION"

    def build(self, *changes: Change) -> Callable:
        """The answer that makes the given changes, all at once."""
        if len(changes) == 1 and callable(changes[0]):
            return changes[0]
        return execute(compose(self.source, *changes), self.answer)

    def together(self, *changes: Change) -> Callable | None:
        """The answer that makes all changes at once, in whichever order they can be made."""
        for order in permutations(changes):
            try:
                return self.build(*order)
            except (TypeError, ValueError, SyntaxError):
                continue
        return None

    def observe(self, answer: Callable) -> list[Observation]:
        """What each probe sees of an answer."""
        return [Observation.of(probe, answer, watched=False) for probe in self.probes]

    @cached_property
    def expected(self) -> list[Observation]:
        """What each probe sees of the right answer."""
        seen = run_ours(partial(self.observe, self.oracle))
        if fault := next((each.error or each.returned for each in seen if each.fell), None):
            raise RuntimeError(f"got {fault} from the oracle of {self.name}, expected results")
        return seen

    @cached_property
    def versions(self) -> list[tuple[Mistake, Change]]:
        """Every version of every mistake."""
        return [(mistake, change) for mistake in self.mistakes for change in mistake.versions]

    @cached_property
    def known(self) -> list[tuple[Mistake, Sequence[Observation]]]:
        """What each probe sees of them, once somebody looks."""
        return [(mistake, Run(self.probes, partial(self.build, c))) for mistake, c in self.versions]

    @cached_property
    def slips(self) -> list[tuple[Mistake, Sequence[Observation]]]:
        """The same of every slip."""
        return [
            (
                Mistake(slip.name, self.section, partial(_slipped, self, slip), slip.hint),
                Run(self.probes, partial(_slipped, self, slip), seconds=1.0),
            )
            for slip in slips_of(self.source)
        ]

    def warm(self) -> None:
        """Import what the probes import, and leave nothing right lying about for the answer."""
        if self.__dict__.pop("expected", None) is None:
            run_ours(partial(self.observe, self.oracle))

    def ready_made(self, names: Iterable[str]) -> str:
        """Those of the ready-made calls that the exercise does not ask for, in words."""
        names = [name for name in names if name != "autograd" or name in self.without]
        if names:  # the solution is run only where it matters
            names = [name for name in names if name not in {*self.allows, *self.of_solution}]
        return ", ".join(dict.fromkeys(names))

    @cached_property
    def of_solution(self) -> set[str]:
        """The ready-made calls of the solution."""
        answer = execute(self.source, self.answer)
        seen = run_ours(lambda: [Observation.of(probe, answer) for probe in self.probes])
        return {name for each in seen for name in each.ready_made}


def _slipped(exercise: Exercise, slip: Slip) -> Callable:
    return execute(slip.source, exercise.answer)


def compose(source: str, *changes: Change) -> str:
    """The source with every change made; ValueError where a text does not occur just once."""
    for change in changes:
        for patch in change if isinstance(change, tuple) else (change,):
            if not isinstance(patch, str | Patch):
                raise TypeError(f"expected a patch, got {patch!r}")
            source = (Patch.of(patch) if isinstance(patch, str) else patch).apply(source)
    return source


@cache
def execute(source: str, name: str) -> Callable:
    """The function or class of a name that a source makes with a chapter's imports."""
    names = {"__name__": "answer", **IMPORTS}
    exec(compile(source, f"<{name}>", "exec"), names)
    return names[name]


def pairs(exercise: Exercise) -> Iterator[tuple[Mistake, Mistake, Callable]]:
    """Every two mistakes that patches make at once, in order, and an answer that makes both."""
    for first, second in combinations(exercise.mistakes, 2):
        for changes in product(first.versions, second.versions):
            if answer := exercise.together(*changes):
                yield first, second, answer


def examine(exercise: Exercise, answer: Callable, limit: float = LIMIT) -> CheckResult:
    """Compare an answer with an exercise; no exception of the answer leaves it."""
    replaced = put_back()  # by the cell that made the answer
    exercise.warm()
    progress = Progress()
    with apart():
        outcome = run_limited(partial(_observe, exercise.probes, answer, progress), limit)
        progress = Progress(list(progress.seen), [*progress.times, time.monotonic()])
        replaced += put_back()
        try:
            progress = replace(progress, seen=_again(exercise, answer, limit, progress.seen))
            replaced += put_back()
            result = _conclude(exercise, answer, outcome, progress, limit)
        except Exception as exception:
            hint = BROKEN.format(error=own_line(exception))
            return CheckResult(exercise.name, "broken", hint=hint)
        finally:
            replaced += put_back()  # it may have run again
    notes = [PUT_BACK.format(names=", ".join(dict.fromkeys(replaced)))] if replaced else []
    if result.passed and progress.seconds > limit / 2:
        notes.append(TOOK_LONG.format(seconds=progress.seconds))
    return replace(result, notes=tuple(notes))


@dataclass(frozen=True)
class Progress:
    """What the probes have seen so far, and when: at the start, and after each."""

    seen: list[Observation] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return self.times[-1] - self.times[0]

    @property
    def stuck(self) -> bool:
        """Whether the last input takes far longer than each before: then it does not end."""
        spans = [end - start for start, end in pairwise(self.times)]
        return not spans[:-1] or spans[-1] > STUCK * max(spans[:-1]) + 0.5


def _observe(
    probes: Sequence[Probe], answer: Callable, progress: Progress, watched: bool = False
) -> None:
    """Fill in what each probe sees; no frame above the answer holds what is right."""
    progress.times.append(time.monotonic())
    for probe in probes:
        progress.seen.append(Observation.of(probe, answer, watched))
        progress.times.append(time.monotonic())


def _again(
    exercise: Exercise, answer: Callable, limit: float, seen: list[Observation]
) -> list[Observation]:
    """The same once more, watched, where it matters; that is slow, above all where it imports."""
    if len(seen) < len(exercise.probes) or all(each.stub for each in seen):
        return seen
    if not any(each.fell for each in seen) and any(map(first_difference, exercise.expected, seen)):
        return seen
    exercise.warm()
    watched = Progress()
    run_limited(partial(_observe, exercise.probes, answer, watched, True), limit)
    return watched.seen if len(watched.seen) == len(seen) else seen


def _conclude(
    exercise: Exercise, answer: Callable, outcome: Outcome, progress: Progress, limit: float
) -> CheckResult:
    if outcome.stopped:
        return _stopped(exercise, progress, limit, outcome.interrupted)
    if outcome.exception is not None:
        return CheckResult(exercise.name, "raised", error=own_line(outcome.exception))
    locate = exercise.locate and partial(exercise.locate, answer)
    return judge(exercise, progress.seen, locate)


def _stopped(
    exercise: Exercise, progress: Progress, limit: float, interrupted: bool
) -> CheckResult:
    """Whether it is slow or does not end, with the input at which it was, and what came before."""
    done, total = len(progress.seen), len(exercise.probes)
    hint = INTERRUPTED if interrupted else HANG if progress.stuck else SLOW
    hint = hint.format(limit=limit, seconds=progress.seconds, done=done, all=total)
    both = zip(exercise.expected, progress.seen, strict=False)
    wrong = next((found for pair in both if (found := first_difference(*pair))), None)
    hint += WRONG_SO_FAR.format(what=wrong) if wrong else SO_FAR if done else ""
    at = exercise.probes[min(done, total - 1)]
    sample = Sample(at.inputs, "result", "one, at once", "none so far")
    return CheckResult(exercise.name, "stopped", hint=hint, sample=sample)


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]
