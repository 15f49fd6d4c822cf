"""What each known mistake looks like, computed when it is compared and no further than needed.

A check compares an answer with every known mistake. Most of them part from it at the first probe,
so that the others need not run. Where the book was built with their looks as data (`baked.py`),
nothing of them runs at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import torch
from baked import baked

import bnkit.book.exercise as exercise_module
from bnkit.book import judge
from bnkit.book.exercise import Exercise, Mistake, execute
from bnkit.book.observe import Observation, Probe
from bnkit.book.run import run_limited
from bnkit.book.slips import slips_of

__all__ = ["compute_lazily", "pending"]

PAIR_SECONDS = 0.5  # for two mistakes at once: a check should answer within 1.5


class Run:
    """The probes of one answer, run in order as far as somebody has looked."""

    running = False  # is it one of these that runs?

    def __init__(self, exercise: Exercise, build: Callable[[], Callable]) -> None:
        self.exercise, self.build = exercise, build
        self.seen: list[Observation] = []
        self.state = torch.Generator().manual_seed(0).get_state()

    def up_to(self, index: int) -> Observation:
        """What a probe sees; probes before it run first, so that random numbers are the same."""
        while len(self.seen) <= index:
            probe = self.exercise.probes[len(self.seen)]
            Run.running = True
            try:
                found = run_limited(lambda probe=probe: self._observed(probe)).value
            finally:
                Run.running = False
            self.seen.append(found or Observation({"raised": "it did not end"}, "it did not end"))
        return self.seen[index]

    def _observed(self, probe: Probe) -> Observation:
        torch.default_generator.set_state(self.state)
        try:
            return Observation.of(probe, self.answer, watched=False)
        finally:
            self.state = torch.default_generator.get_state()

    @cached_property
    def answer(self) -> Callable:
        """The answer, made when it first runs."""
        return self.build()

    @property
    def is_whole(self) -> bool:
        """Whether every probe has run."""
        return len(self.seen) == len(self.exercise.probes)


class Later(Observation):
    """What a probe will see, once somebody looks."""

    def __init__(self, run: Run, index: int, gradients: bool = True) -> None:
        self.run, self.index, self.gradients = run, index, gradients

    @property
    def now(self) -> Observation:
        """What it sees."""
        found = self.run.up_to(self.index)
        return found if self.gradients else found.values()

    facets = property(lambda self: self.now.facets)
    error = property(lambda self: self.now.error)
    cause = property(lambda self: self.now.cause)
    returned = property(lambda self: self.now.returned)
    ready_made = property(lambda self: self.now.ready_made)
    stub = property(lambda self: self.now.stub)

    def values(self) -> Later:
        """The same without gradients."""
        return Later(self.run, self.index, False)


def _later(exercise: Exercise, build: Callable[[], Callable]) -> list[Later]:
    run = Run(exercise, build)
    return [Later(run, i) for i in range(len(exercise.probes))]


Compared = list[tuple[Mistake, Sequence[Observation]]]


def _known(exercise: Exercise) -> Compared:
    if found := baked(exercise.name):
        mistakes = [mistake for mistake, _ in exercise.versions]
        return list(zip(mistakes, found[0], strict=True))
    return [
        (mistake, _later(exercise, lambda change=change: exercise.build(change)))
        for mistake in exercise.mistakes
        for change in mistake.versions
    ]


class Silent(Later):
    """The same of a slip, which looks like nothing if it raises in every essential probe."""

    @property
    def now(self) -> Observation:
        """What it sees."""
        found = super().now
        if not found.error:
            return found
        probes = self.run.exercise.probes
        essential = [i for i, probe in enumerate(probes) if probe.essential]
        if all(self.run.up_to(i).error for i in essential):
            return Observation({"nothing": "no answer looks like this"})
        return found

    def values(self) -> Silent:
        """The same without gradients."""
        return Silent(self.run, self.index, False)


def _slips(exercise: Exercise) -> Compared:
    if found := baked(exercise.name):
        return [(Mistake(name, exercise.section, "", hint), run) for name, hint, run in found[1]]
    found = []
    for slip in slips_of(exercise.source):
        mistake = Mistake(slip.name, exercise.section, slip.source, slip.hint)
        run = Run(exercise, lambda slip=slip: execute(slip.source, exercise.answer))
        found.append((mistake, [Silent(run, i) for i in range(len(exercise.probes))]))
    return found


def _ours(function: Callable) -> Callable:
    def run(*args: object) -> object:
        before, Run.running = Run.running, True
        try:
            return function(*args)
        finally:
            Run.running = before

    return run


def compute_lazily() -> None:
    """Let exercises compute the looks of their mistakes when they are compared."""
    judge.PAIR_SECONDS = PAIR_SECONDS
    judge.PAIRS_BESIDE = 0  # three mistakes at once are sought beside a kernel alone
    for module in (judge, exercise_module):
        function = vars(module).get("run_ours")
        if function and function.__name__ == "run_ours":
            module.run_ours = _ours(function)
    for name, compute in (("known", _known), ("slips", _slips)):
        lazy = cached_property(compute)
        lazy.__set_name__(Exercise, name)
        setattr(Exercise, name, lazy)


def pending(exercise: Exercise) -> Iterator[None]:
    """One step of what is still to be computed for an exercise at each turn."""
    for table in ("known", "slips"):
        for _, seen in getattr(exercise, table):
            run = getattr(seen[0], "run", None)
            while run and not run.is_whole:
                run.up_to(len(run.seen))
                yield
