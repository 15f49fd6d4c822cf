"""Time batch norm over batch sizes and numbers of features: `python -m bench.scaling SECONDS`."""

from __future__ import annotations

import json
import sys

import torch
from torch import nn

from bench.timing import fresh_runs, interleaved
from bnkit import layers

SIZES = [16, 64, 256, 1024, 4096]
FEATURES, BATCH = 128, 64  # what stays the same while the other grows


def measure(seconds: float = 0.7, runs: int = 3) -> list[dict]:
    """Rows with grows, batch, features and times in microseconds of forward and backward."""
    return fresh_runs("bench.scaling", runs, str(seconds))


def row_of(grows: str, batch: int, features: int, seconds: float) -> dict:
    torch.manual_seed(0)
    variants = {"torch": nn.BatchNorm1d(features), "bnkit": layers.BatchNorm1d(features)}
    x, grad = torch.randn(batch, features).requires_grad_(), torch.randn(batch, features)
    leaves = [x, *(p for layer in variants.values() for p in layer.parameters())]
    steps = {key: lambda layer=layer: layer(x).backward(grad) for key, layer in variants.items()}
    times = interleaved(steps, seconds, leaves)
    return {"grows": grows, "batch": batch, "features": features, "times": times}


if __name__ == "__main__":
    seconds = float(sys.argv[1])
    rows = [row_of("batch", size, FEATURES, seconds) for size in SIZES]
    rows += [row_of("features", BATCH, size, seconds) for size in SIZES]
    print(json.dumps(rows))
