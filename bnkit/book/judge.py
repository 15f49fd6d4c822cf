"""Says what is wrong with an answer, from what the probes saw of it; the answer never runs here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING

from torch import Tensor

from bnkit.book.later import Run
from bnkit.book.naming import (
    alike,
    differ,
    kind_differs,
    likely_pairs,
    nearness,
    no_gradient,
    partly,
)
from bnkit.book.observe import MISSING, Observation, Probe, first_difference
from bnkit.book.relations import relation
from bnkit.book.result import CheckResult, Sample
from bnkit.book.run import run_limited, run_ours

if TYPE_CHECKING:
    from bnkit.book.exercise import Exercise, Mistake

__all__ = ["judge"]

PAIR_SECONDS = 1.0  # of computing, whatever else runs: so the verdict is the same every time
PAIRS_BESIDE, NEAREST = 40, 4  # pairs that are run where three are sought, and those kept

STUB = "Replace the line that raises NotImplementedError by your code, then check again."
RAISED = "Call it yourself with the input that is shown, and read the line that raises."
DETACHED = (
    "no gradient flows back: the result is detached",
    "The values are right. Does your code detach the result, or compute it under no_grad?",
)
SHAPES = " Its shape is {received}, and {expected} is asked for."

Locate = Callable[[], str | None]
Told = tuple[str, str, str]  # name, hint and what to reread


def judge(
    exercise: Exercise, seen: Sequence[Observation], locate: Locate | None = None
) -> CheckResult:
    """The verdict on an answer; `locate` says at which step the values part, if it is asked."""
    if seen and all(each.stub for each in seen):
        return CheckResult(exercise.name, "not started", hint=STUB)
    triples = list(zip(exercise.probes, exercise.expected, seen, strict=True))
    failed = [triple for triple in triples if first_difference(*triple[1:])]
    if not failed:
        names = exercise.ready_made(name for each in seen for name in each.ready_made)
        hint = "Every result agrees."
        return CheckResult(exercise.name, "passed", hint=hint, ready_made=names)
    essential = any(probe.essential for probe, _, _ in failed)
    looked_at = [i for i, probe in enumerate(exercise.probes) if probe.essential or not essential]
    first = next(each for each in failed if each[0].essential or not essential)
    raised = next((each for _, _, each in failed if each.error), None)
    told = run_ours(partial(_told, exercise, seen, looked_at), 120.0)
    sample, error = _sample(*first), raised.error if raised else None
    if told:
        return CheckResult(exercise.name, "mistake", *told, sample, error=error)
    if raised:
        hint = raised.cause or RAISED
        return CheckResult(exercise.name, "raised", hint=hint, sample=sample, error=error)
    return _unknown(exercise, locate, sample)


def _sample(probe: Probe, expected: Observation, received: Observation) -> Sample:
    name = first_difference(expected, received)
    if not received.fell:
        pair = (each.facets.get(name, MISSING) for each in (expected, received))
        return Sample(probe.inputs, name, *pair)
    what, right = next(iter(expected.facets.items()))
    return Sample(probe.inputs, what, right, received.returned or received.error.split("\n")[0])


def _unknown(exercise: Exercise, locate: Locate | None, sample: Sample) -> CheckResult:
    stage = run_limited(locate).value if locate else None
    stage = stage or sample.what
    hint = f"The first step at which the values part: {stage}. Compute the sample by hand."
    both = sample.expected, sample.received
    if all(isinstance(each, Tensor) for each in both) and both[0].shape != both[1].shape:
        shapes = [str(tuple(each.shape)) for each in both]
        hint += SHAPES.format(expected=shapes[0], received=shapes[1])
    return CheckResult(exercise.name, "unknown", None, hint, exercise.section, sample, stage=stage)


def _told(exercise: Exercise, seen: Sequence[Observation], looked_at: Sequence[int]) -> Told | None:
    """What is made wrong: known, slipped, by its form, two at once, or one among more."""
    if not exercise.mistakes:
        return None
    one = _known(exercise, seen, looked_at)
    if one:
        return _words(one, ", or ")
    view = [exercise.expected[i] for i in looked_at], [seen[i] for i in looked_at]
    if all(each.error for each in seen):
        return None
    several = _Several(exercise, seen, looked_at)
    two = several.two()
    if two:
        return _words(two)
    kind = DETACHED if no_gradient(exercise.expected, seen) else kind_differs(*view)
    if kind:
        return (*kind, exercise.section)
    inputs = [probe.inputs for probe in exercise.probes]
    related = relation(inputs, exercise.expected, seen)
    whole = related and " differs" not in related.name
    three = [] if whole else several.three()
    if three:
        return _words(three)
    loudest = None if whole else partly(exercise.expected, seen, exercise.known, _quick(exercise))
    if loudest:
        return _words([loudest], end=", and something else")
    return (related.name, related.hint, exercise.section) if related else None


def _words(mistakes: Sequence[Mistake], joint: str = " and ", end: str = "") -> Told:
    *names, last = (mistake.name for mistake in mistakes)
    name = f"{', '.join(names)}{joint}{last}" if names else last
    return name + end, mistakes[0].hint, mistakes[0].section


def _known(
    exercise: Exercise, seen: Sequence[Observation], looked_at: Sequence[int]
) -> list[Mistake]:
    """The mistakes, or else the slips, that look like what was seen; seldom more than one."""
    wrong = differ(*([run[i].values() for i in looked_at] for run in (exercise.expected, seen)))
    essential = [each for probe, each in zip(exercise.probes, seen, strict=True) if probe.essential]
    silent = all(each.error for each in essential)  # then a slip says no more than the exception
    for name in ("known",) if silent else ("known", "slips"):
        runs = getattr(exercise, name)
        found = alike(runs, seen, looked_at)
        if not found and wrong:  # wrong values come before wrong gradients
            found = alike(runs, seen, looked_at, gradients=False)
        if found:
            return found[: 2 if name == "known" else 1]
    return []


@dataclass(frozen=True)
class _Several:
    """The search for mistakes that together look like what was seen."""

    exercise: Exercise
    seen: Sequence[Observation]
    looked_at: Sequence[int]

    @cached_property
    def likely(self) -> list[tuple[int, int]]:
        """Pairs of versions, the most likely first."""
        exercise = self.exercise
        return likely_pairs(exercise.expected, self.seen, exercise.known, _quick(exercise))

    def two(self) -> list[Mistake]:
        """The first two that fit, the louder first."""
        return self._first(self.likely, PAIR_SECONDS)

    def three(self) -> list[Mistake]:
        """The first three that fit: one more beside the pairs that come nearest."""
        tried = self.likely[:PAIRS_BESIDE]
        near = sorted(tried, key=self._nearness, reverse=True)[:NEAREST]
        others = list(dict.fromkeys(chain.from_iterable(self.likely)))
        more = ((*pair, other) for pair in near for other in others if other not in pair)
        return self._first(more, PAIR_SECONDS)

    def _nearness(self, indices: Sequence[int]) -> float:
        answer = self._made(indices)
        if answer is None:
            return -1.0
        run = Run(self.exercise.probes, lambda: answer)
        return nearness(self.exercise.expected, self.seen, run)

    def _made(self, indices: Sequence[int]) -> Callable | None:
        return self.exercise.together(*(self.exercise.versions[i][1] for i in indices))

    def _first(self, sets: Iterable[Sequence[int]], seconds: float) -> list[Mistake]:
        deadline = time.thread_time() + seconds
        for indices in sets:
            if time.thread_time() > deadline:
                break
            mistakes = [self.exercise.versions[i][0] for i in indices]
            answer = len({id(each) for each in mistakes}) == len(mistakes) and self._made(indices)
            if answer and _looks_like(self.exercise, answer, self.seen, self.looked_at):
                return sorted(mistakes, key=partial(_loudness, self.exercise), reverse=True)
        return []


def _quick(exercise: Exercise) -> list[int]:
    """The probes that are looked at first; none where all are as quick."""
    quick = [i for i, probe in enumerate(exercise.probes) if not probe.slow]
    return quick if len(quick) < len(exercise.probes) else []


def _looks_like(
    exercise: Exercise, answer: Callable, seen: Sequence[Observation], looked_at: Sequence[int]
) -> bool:
    """Whether an answer gives what was seen; the first probe that tells them apart ends it."""
    for i in looked_at:
        probe, each = exercise.probes[i], seen[i]
        if first_difference(Observation.of(probe, answer, watched=False), each):
            return False
    return True


def _loudness(exercise: Exercise, mistake: Mistake) -> int:
    """In how many results a mistake shows by itself."""
    run = next(run for known, run in exercise.known if known is mistake)
    both = zip(exercise.expected, run, strict=True)
    return sum(first_difference(right, wrong) is not None for right, wrong in both)
