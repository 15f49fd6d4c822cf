"""What answers of our own look like, computed when it is compared and no further than needed.

A check compares an answer with every known mistake. Most of them part from it at the first probe,
so that the others need not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

from bnkit.book.observe import Observation, Probe
from bnkit.book.run import run_limited

__all__ = ["Run"]

ENDLESS = Observation({"raised": "it did not end"}, error="it did not end")


class Run(Sequence[Observation]):
    """What each probe sees of one answer; a probe runs when somebody looks, and once."""

    def __init__(
        self, probes: Sequence[Probe], build: Callable[[], Callable], seconds: float | None = None
    ) -> None:
        self.probes, self.build, self.seconds = probes, build, seconds
        self.seen: dict[int, Observation] = {}

    @cached_property
    def answer(self) -> Callable:
        """The answer, made when it first runs."""
        return self.build()

    def __len__(self) -> int:
        return len(self.probes)

    def __getitem__(self, index: int) -> Observation:
        if index not in range(len(self)):
            raise IndexError(f"got {index}, expected one of {len(self)} probes")
        if index not in self.seen:
            self.seen[index] = self._look(self.probes[index])
        return self.seen[index]

    def _look(self, probe: Probe) -> Observation:
        work = partial(self._observe, probe)
        if self.seconds is None:
            return work()
        if ENDLESS in self.seen.values():
            return ENDLESS
        return run_limited(work, self.seconds).value or ENDLESS

    def _observe(self, probe: Probe) -> Observation:
        return Observation.of(probe, self.answer, watched=False)
