"""Time bnkit's batch norm and PyTorch's, eager and compiled: `python -m bench.norms SECONDS`."""

from __future__ import annotations

import json
import sys

import torch
from torch import nn

from bench.timing import fresh_runs, interleaved
from bnkit import layers

GOALS = {  # of bnkit / PyTorch, forward and backward
    (64, 128): 1.8,
    (64, 784): 1.6,
    (1024, 512): 1.4,
    (64, 32, 28, 28): 0.8,
}
COMPILED_GOALS = {(64, 32, 28, 28): 0.6}  # of compiled bnkit / PyTorch as it is


def measure(seconds: float = 3.0, runs: int = 3) -> list[dict]:
    """Rows with shape, pass, goal, compiled_goal and times in microseconds, one value per run."""
    return fresh_runs("bench.norms", runs, str(seconds))


def rows_of(shape: tuple[int, ...], seconds: float) -> list[dict]:
    """Forward alone (in training mode, its graph kept) and forward with backward."""
    torch.manual_seed(0)
    name = "BatchNorm1d" if len(shape) == 2 else "BatchNorm2d"
    variants = {"torch": getattr(nn, name)(shape[1]), "bnkit": getattr(layers, name)(shape[1])}
    variants |= {f"compiled {key}": torch.compile(layer) for key, layer in variants.items()}
    x, grad = torch.randn(shape).requires_grad_(), torch.randn(shape)
    leaves = [x, *(p for layer in variants.values() for p in layer.parameters())]
    forward = {key: lambda layer=layer: layer(x) for key, layer in variants.items()}
    both = {key: lambda layer=layer: layer(x).backward(grad) for key, layer in variants.items()}
    row = {"layer": name, "shape": list(shape)}
    return [
        {**row, "pass": "forward", "times": interleaved(forward, seconds)},
        {
            **row,
            "pass": "forward and backward",
            "goal": GOALS[shape],
            "compiled_goal": COMPILED_GOALS.get(shape),
            "times": interleaved(both, seconds, leaves),
        },
    ]


if __name__ == "__main__":
    print(json.dumps([row for shape in GOALS for row in rows_of(shape, float(sys.argv[1]))]))
