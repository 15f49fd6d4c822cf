"""How long layers take, as ratios within one run: those depend less on the machine."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Mapping, Sequence

import torch

__all__ = ["times_as_long"]


def _seconds(norm: Callable, shape: tuple[int, int]) -> float:
    """Of three times forward and backward, the best of six."""
    layer, grad = norm(shape[1]), torch.randn(shape)
    x = torch.randn(shape, requires_grad=True)
    timer = timeit.Timer(lambda: layer(x).backward(grad), timer=time.process_time)
    return min(timer.repeat(repeat=6, number=3))


def times_as_long(
    norms: Mapping[str, Callable], reference: Callable, shapes: Sequence, rounds: int
) -> dict[str, list[float]]:
    """Time for forward and backward over the reference's, the layers taking turns on one thread."""
    torch.set_num_threads(1)
    ratios: dict[str, list[float]] = {f"{name}, {shape}": [] for shape in shapes for name in norms}
    for shape in shapes:
        for _ in range(rounds):
            seconds = {name: _seconds(norm, shape) for name, norm in norms.items()}
            base = _seconds(reference, shape)
            for name in norms:
                ratios[f"{name}, {shape}"].append(seconds[name] / base)
    return ratios
