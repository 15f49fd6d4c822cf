"""An exercise as data, and the one engine that compares an answer with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from bnkit.checks.observation import MISSING, Observation, Probe, first_difference, is_stub
from bnkit.checks.result import CheckResult, Sample
from bnkit.checks.runner import LIMIT, own_line, run_limited

__all__ = ["Exercise", "Mistake", "examine"]

STUB = "Replace the line that raises NotImplementedError by your code, then check again."
HANG = "It ran for {limit:g} seconds without returning. Look for a loop that never ends."
RAISED = "Call it yourself with the input that is shown, and read the line that raises."
NOTHING = "It returned None. Is there a return at the end?"


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make, as data.

    Args:
        name: What the learner is told.
        exercise: Name of the exercise it is made in.
        wrong: A version that makes it.
        hint: A question or an experiment that leads to it.
        section: What to reread, as ``"02_equations.ipynb#Which axes?"``.
        variants: Other ways to make it that look different from outside.
    """

    name: str
    exercise: str
    wrong: Callable
    hint: str
    section: str
    variants: tuple[Callable, ...] = ()

    @property
    def versions(self) -> tuple[Callable, ...]:
        """All of its wrong versions."""
        return (self.wrong, *self.variants)


@dataclass(frozen=True)
class Exercise:
    """What an answer must do, and what is known of wrong ones.

    Args:
        name: As in the catalogue.
        right: A right answer.
        probes: Experiments, the smallest first.
        mistakes: The known wrong answers.
        section: What to reread after a mistake that nobody knows.
        locate: Maps a wrong answer to the first step at which values part, or None for the first
            result that differs.
    """

    name: str
    right: Callable
    probes: Sequence[Probe]
    mistakes: Sequence[Mistake]
    section: str
    locate: Callable[[Callable], str | None] | None = None

    @cached_property
    def expected(self) -> list[Observation]:
        """What each probe sees of the right answer."""
        return self.observe(self.right)

    def observe(self, answer: Callable) -> list[Observation]:
        """What each probe sees of an answer."""
        return [Observation.of(probe, answer) for probe in self.probes]


def examine(exercise: Exercise, answer: Callable, limit: float = LIMIT) -> CheckResult:
    """Compare an answer with an exercise.

    Args:
        exercise: The exercise.
        answer: The learner's function or class.
        limit: Seconds that the answer may take.

    Returns:
        The result; no exception of the answer leaves it.
    """
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
    pairs = list(zip(exercise.probes, exercise.expected, seen, strict=True))
    failed = [pair for pair in pairs if first_difference(*pair[1:])]
    if not failed:
        return CheckResult(exercise.name, "passed", hint="Every result agrees.")
    essential = any(probe.essential for probe, _, _ in failed)
    looked_at = [i for i, pair in enumerate(pairs) if pair[0].essential or not essential]
    sample = _sample(*next(pair for pair in failed if pair[0].essential or not essential))
    exception = next((each.exception for _, _, each in failed if each.exception), None)
    mistake = _known(exercise, seen, looked_at)
    if mistake:
        return CheckResult(
            exercise.name,
            "mistake",
            mistake.name,
            mistake.hint,
            mistake.section,
            sample,
            error=exception and own_line(exception),
        )
    if exception:
        return CheckResult(
            exercise.name, "raised", hint=RAISED, sample=sample, error=own_line(exception)
        )
    return _unknown(exercise, answer, sample, limit)


def _sample(probe: Probe, expected: Observation, received: Observation) -> Sample:
    name, exception = first_difference(expected, received), received.exception
    if not exception:
        pair = (each.facets.get(name, MISSING) for each in (expected, received))
        return Sample(probe.inputs, name, *pair)
    what, right = next(iter(expected.facets.items()))
    return Sample(probe.inputs, what, right, f"{type(exception).__name__}: {exception}")


def _known(exercise: Exercise, seen: list[Observation], looked_at: Sequence[int]) -> Mistake | None:
    """The mistake that looks like what was seen; wrong values come before wrong gradients."""
    expected = [exercise.expected[i] for i in looked_at]
    seen = [seen[i] for i in looked_at]
    alike = [
        (mistake, [run[i] for i in looked_at])
        for mistake in exercise.mistakes
        for run in (run_limited(partial(exercise.observe, w)).value for w in mistake.versions)
    ]
    found = (mistake for mistake, run in alike if not _differ(run, seen))
    if mistake := next(found, None):
        return mistake
    seen = [each.values() for each in seen]
    if not _differ([each.values() for each in expected], seen):
        return None
    runs = ((mistake, [each.values() for each in run]) for mistake, run in alike)
    return next((mistake for mistake, run in runs if not _differ(run, seen)), None)


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
