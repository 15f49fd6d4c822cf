"""Says what is wrong with an answer, from what the probes saw of it; the answer never runs here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bnkit.book.naming import alike, differ, kind_differs, likely_pairs, no_gradient, partly
from bnkit.book.observe import MISSING, Observation, Probe, first_difference
from bnkit.book.relations import relation
from bnkit.book.result import CheckResult, Sample
from bnkit.book.run import run_limited

if TYPE_CHECKING:
    from bnkit.book.exercise import Exercise, Mistake

__all__ = ["judge"]

PAIR_SECONDS = 1.0  # of computing, whatever else runs: so the verdict is the same every time

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
    told = _told(exercise, seen, looked_at)
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
    two = _two_at_once(exercise, seen, looked_at)
    if two:
        return _words(two, " and ")
    kind = DETACHED if no_gradient(exercise.expected, seen) else kind_differs(*view)
    if kind:
        return (*kind, exercise.section)
    inputs = [probe.inputs for probe in exercise.probes]
    related = relation(inputs, exercise.expected, seen)
    whole = related and " differs" not in related.name
    loudest = None if whole else partly(exercise.expected, seen, exercise.known)
    if loudest:
        return _words([loudest], "", ", and something else")
    return (related.name, related.hint, exercise.section) if related else None


def _words(mistakes: Sequence[Mistake], joint: str, end: str = "") -> Told:
    names = joint.join(mistake.name for mistake in mistakes)
    return names + end, mistakes[0].hint, mistakes[0].section


def _known(
    exercise: Exercise, seen: Sequence[Observation], looked_at: Sequence[int]
) -> list[Mistake]:
    """The mistakes, or else the slips, that look like what was seen; seldom more than one."""
    wrong = differ(*([run[i].values() for i in looked_at] for run in (exercise.expected, seen)))
    for name in ("known", "slips"):  # the slips are looked at only where no mistake fits
        runs = getattr(exercise, name)
        found = alike(runs, seen, looked_at)
        if not found and wrong:  # wrong values come before wrong gradients
            plain = [(m, [each.values() for each in run]) for m, run in runs]
            found = alike(plain, [each.values() for each in seen], looked_at)
        if found:
            return found[: 2 if name == "known" else 1]
    return []


def _two_at_once(
    exercise: Exercise, seen: Sequence[Observation], looked_at: Sequence[int]
) -> list[Mistake]:
    """The two mistakes that together look like what was seen, the louder first."""
    found = run_limited(partial(_first_pair, exercise, seen, looked_at), 30.0).value or ()
    return sorted(found, key=partial(_loudness, exercise), reverse=True)


def _first_pair(
    exercise: Exercise, seen: Sequence[Observation], looked_at: Sequence[int]
) -> tuple[Mistake, ...]:
    deadline = time.thread_time() + PAIR_SECONDS
    for i, j in likely_pairs(exercise.expected, seen, exercise.known):
        if time.thread_time() > deadline:
            break
        (first, change), (second, other) = exercise.versions[i], exercise.versions[j]
        answer = exercise.both(change, other)
        if answer and _looks_like(exercise, answer, seen, looked_at):
            return first, second
    return ()


def _looks_like(
    exercise: Exercise, answer: Callable, seen: Sequence[Observation], looked_at: Sequence[int]
) -> bool:
    """Whether an answer gives what was seen; the first probe that tells them apart ends it."""
    torch.default_generator.manual_seed(0)  # as for the answer
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
