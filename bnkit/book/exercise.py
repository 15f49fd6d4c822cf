"""An exercise as one object, its mistakes as patches of the solution, and the engine that compares.

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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import combinations, product

import torch
import torch.nn.functional as F
from torch import nn

from bnkit.book.observe import MISSING, Observation, Probe, first_difference, is_stub
from bnkit.book.result import CheckResult, Sample
from bnkit.book.run import LIMIT, own_line, run_limited
from bnkit.book.slips import Slip, slips_of

__all__ = ["Exercise", "Mistake", "Patch", "compose", "examine", "execute", "pairs"]

IMPORTS = {"copy": copy, "math": math, "torch": torch, "F": F, "nn": nn}  # of every chapter
PAIR_SECONDS = 1.0  # of computing, whatever else runs: so the verdict is the same every time

STUB = "Replace the line that raises NotImplementedError by your code, then check again."
HANG = "It ran for {limit:g} seconds without returning. Look for a loop that never ends."
RAISED = "Call it yourself with the input that is shown, and read the line that raises."
NOTHING = "It returned None. Is there a return at the end?"


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

    def observe(self, answer: Callable) -> list[Observation]:
        """What each probe sees of an answer."""
        return [Observation.of(probe, answer) for probe in self.probes]

    @cached_property
    def expected(self) -> list[Observation]:
        """What each probe sees of the right answer."""
        return self.observe(self.oracle)

    @cached_property
    def known(self) -> list[tuple[Mistake, list[Observation]]]:
        """What each probe sees of every version of every mistake."""
        versions = [(mistake, change) for mistake in self.mistakes for change in mistake.versions]
        runs = (run_limited(partial(self.observe, self.build(change))) for _, change in versions)
        return [(mistake, run.value) for (mistake, _), run in zip(versions, runs, strict=True)]

    @cached_property
    def slips(self) -> list[tuple[Mistake, list[Observation]]]:
        """The same of every slip that changes a result, and does not raise everywhere."""
        found = []
        essential = [i for i, probe in enumerate(self.probes) if probe.essential]
        for slip in slips_of(self.source):
            mistake = Mistake(slip.name, self.section, partial(_slipped, self, slip), slip.hint)
            run = run_limited(lambda slip=slip: self.observe(_slipped(self, slip)), 1.0).value
            silent = run and all(run[i].exception for i in essential)
            if run and _differ(self.expected, run) and not silent:
                found.append((mistake, run))
        return found


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
            for order in (changes, changes[::-1]):
                try:
                    yield first, second, exercise.build(*order)
                except (TypeError, ValueError, SyntaxError):
                    continue
                break


def examine(exercise: Exercise, answer: Callable, limit: float = LIMIT) -> CheckResult:
    """Compare an answer with an exercise; no exception of the answer leaves it."""
    run_limited(lambda: exercise.expected)  # our own code, and random numbers stay as they are
    outcome = run_limited(lambda: exercise.observe(answer), limit)
    if outcome.stopped:
        return CheckResult(exercise.name, "stopped", hint=HANG.format(limit=limit))
    if is_stub(outcome.exception):
        return CheckResult(exercise.name, "not started", hint=STUB)
    if outcome.exception is not None:
        return CheckResult(exercise.name, "raised", error=own_line(outcome.exception))
    return _judge(exercise, answer, outcome.value, limit)


def _judge(
    exercise: Exercise, answer: Callable, seen: list[Observation], limit: float
) -> CheckResult:
    triples = list(zip(exercise.probes, exercise.expected, seen, strict=True))
    failed = [triple for triple in triples if first_difference(*triple[1:])]
    if not failed:
        return CheckResult(exercise.name, "passed", hint="Every result agrees.")
    essential = any(probe.essential for probe, _, _ in failed)
    looked_at = [i for i, probe in enumerate(exercise.probes) if probe.essential or not essential]
    sample = _sample(*next(each for each in failed if each[0].essential or not essential))
    exception = next((each.exception for _, _, each in failed if each.exception), None)
    found = _known(exercise, seen, looked_at)
    if not found and not all(each.exception for each in seen):
        found = _two_at_once(exercise, seen, looked_at)
    if found:
        told = " and ".join(mistake.name for mistake in found), found[0].hint, found[0].section
        error = exception and own_line(exception)
        return CheckResult(exercise.name, "mistake", *told, sample, error=error)
    if exception:
        error = own_line(exception)
        return CheckResult(exercise.name, "raised", hint=RAISED, sample=sample, error=error)
    return _unknown(exercise, answer, sample, limit)


def _sample(probe: Probe, expected: Observation, received: Observation) -> Sample:
    name, exception = first_difference(expected, received), received.exception
    if not exception:
        pair = (each.facets.get(name, MISSING) for each in (expected, received))
        return Sample(probe.inputs, name, *pair)
    what, right = next(iter(expected.facets.items()))
    return Sample(probe.inputs, what, right, f"{type(exception).__name__}: {exception}")


def _known(
    exercise: Exercise, seen: list[Observation], looked_at: Sequence[int]
) -> tuple[Mistake, ...]:
    """The mistake, or else the slip, that looks like what was seen."""
    seen = [seen[i] for i in looked_at]
    for name in ("known", "slips"):  # the slips are looked at only where no mistake fits
        runs = [(m, [run[i] for i in looked_at]) for m, run in getattr(exercise, name)]
        if found := _alike(runs, seen):
            return (found,)
        values = [each.values() for each in seen]
        expected = [exercise.expected[i].values() for i in looked_at]
        if _differ(expected, values):  # wrong values come before wrong gradients
            runs = [(m, [each.values() for each in run]) for m, run in runs]
            if found := _alike(runs, values):
                return (found,)
    return ()


def _alike(
    runs: Sequence[tuple[Mistake, list[Observation]]], seen: list[Observation]
) -> Mistake | None:
    return next((mistake for mistake, run in runs if not _differ(run, seen)), None)


def _two_at_once(
    exercise: Exercise, seen: list[Observation], looked_at: Sequence[int]
) -> tuple[Mistake, ...]:
    """The two mistakes that together look like what was seen, the louder first."""
    deadline = time.process_time() + PAIR_SECONDS
    for first, second, answer in pairs(exercise):
        if time.process_time() > deadline:
            break
        if run_limited(partial(_looks_like, exercise, answer, seen, looked_at)).value:
            loudness = partial(_loudness, exercise)
            return tuple(sorted((first, second), key=loudness, reverse=True))
    return ()


def _looks_like(
    exercise: Exercise, answer: Callable, seen: list[Observation], looked_at: Sequence[int]
) -> bool:
    """Whether an answer gives what was seen; the first probe that tells them apart ends it."""
    for i, probe in enumerate(exercise.probes):
        run = Observation.of(probe, answer)  # in order, so that the random numbers are the same
        if i in looked_at and first_difference(run, seen[i]):
            return False
    return True


def _loudness(exercise: Exercise, mistake: Mistake) -> int:
    """In how many results a mistake shows by itself."""
    run = next(run for known, run in exercise.known if known is mistake)
    both = zip(exercise.expected, run, strict=True)
    return sum(first_difference(right, wrong) is not None for right, wrong in both)


def _differ(some: Sequence[Observation], others: Sequence[Observation]) -> bool:
    return any(first_difference(a, b) for a, b in zip(some, others, strict=True))


def _unknown(exercise: Exercise, answer: Callable, sample: Sample, limit: float) -> CheckResult:
    stage = None
    if exercise.locate:
        stage = run_limited(lambda: exercise.locate(answer), limit).value
    stage = stage or sample.what
    hint = f"The first step at which the values part: {stage}. Compute the sample by hand."
    if isinstance(sample.received, str) and sample.received == "None":
        hint = NOTHING
    return CheckResult(exercise.name, "unknown", None, hint, exercise.section, sample, stage=stage)


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]
