"""Which examples networks were scored on: those that chose a rate must not report.

Nothing has to be declared. While a search runs, and from its end on, every batch that a network
gets in evaluation mode without gradients is noted, as one short number an example. A search keeps
the smallest of its numbers: a sample of its examples that two runs draw alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

__all__ = ["SAMPLE", "Scored", "beside_the_report", "numbers_of", "reported", "scored_by"]

SAMPLE = 64  # numbers that a search keeps: a tenth in common is found 99 times in 100
_MIXED = 0x9E3779B97F4A7C15 - 2**64  # spreads numbers over 64 bits


class Scored:
    """The numbers of the examples that networks were scored on while it listened."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.listening = False
        self._seen: set[tuple] = set()  # batches, to spare what comes again and again
        self._depth = 0  # of the module that is being called
        self._hooked = False

    def clear(self) -> None:
        """Forget all examples."""
        self.numbers, self._seen = set(), set()

    def listen(self, on: bool = True) -> None:
        """Note what networks are scored on from now on, or no longer."""
        self.listening = on
        if not self._hooked:
            register_module_forward_pre_hook(self._enter)
            register_module_forward_hook(self._leave, always_call=True)
            self._hooked = True

    def sample(self) -> list[int]:
        """The smallest numbers, in order."""
        return sorted(self.numbers)[:SAMPLE]

    def _enter(self, module: nn.Module, inputs: tuple) -> None:
        if not self.listening or module.training or torch.is_grad_enabled():
            return
        if not self._depth and inputs and isinstance(inputs[0], Tensor):
            self._note(inputs[0])
        self._depth += 1

    def _note(self, batch: Tensor) -> None:
        seen = (batch.shape, batch.sum().item(), batch[:1].square().sum().item())
        if seen not in self._seen:
            self._seen.add(seen)
            self.numbers.update(numbers_of(batch))

    def _leave(self, module: nn.Module, inputs: tuple, output: object) -> None:
        if self._depth and not (module.training or torch.is_grad_enabled()):
            self._depth -= 1


def numbers_of(batch: Tensor) -> list[int]:
    """A number for each example of a batch, whatever its layout.

    Two ratios of power sums make it. They stay where an example is flattened, transposed, padded
    with zeros or repeated for several networks, so that each of these is recognized.
    """
    if not batch.is_floating_point() or batch.dim() < 2:
        return []
    x = batch.detach().flatten(1).double()
    squares = x * x
    scale = x.sum(1).abs().clamp_min(1e-9)
    sums = torch.stack([squares.sum(1), squares.mul_(x).sum(1)], 1)
    keys = (sums / scale[:, None]).mul(1e8).round().long()
    mixed = (keys[:, 0] * _MIXED) ^ (keys[:, 1] * 0x2545F4914F6CDD1D)
    mixed = (mixed ^ (mixed >> 29)) * _MIXED
    return ((mixed >> 16) & (2**47 - 1)).tolist()


reported = Scored()
_search = Scored()


@contextmanager
def scored_by() -> Iterator[Scored]:
    """Listen to a search; what it scores on is not part of a report."""
    _search.clear()
    reported.listening = False
    _search.listen()
    try:
        yield _search
    finally:
        _search.listen(False)
        reported.listen()


@contextmanager
def beside_the_report() -> Iterator[None]:
    """Inside, networks answer for something else than a report, such as a calibration."""
    before, reported.listening = reported.listening, False
    try:
        yield
    finally:
        reported.listening = before
