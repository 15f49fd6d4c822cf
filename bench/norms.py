"""Time bnkit's batch norm, forward and backward, against PyTorch's: `python bench/norms.py`.

Both run interleaved in one process on one thread, and CPU time counts rather than the clock on
the wall, so that a busy neighbor matters less. The process is a fresh one because glibc reads
its allocator's settings at the start only: without them large tensors go back to the operating
system after every step, and whether they do is a matter of luck.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

SHAPES_AND_LIMITS = [
    ((64, 128), 2.0),
    ((64, 784), 1.7),
    ((1024, 512), 1.7),
    ((64, 32, 28, 28), 1.3),
]
COMPILED_SHAPE_AND_LIMIT = ((64, 32, 28, 28), 1.0)
QUIET = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "100000000000",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
}


def norm_ratios(compiled: bool = False) -> list[dict]:
    """Rows with keys name, shape, torch_us, bnkit_us, ratio, limit, one per shape.

    `compiled=True` compares torch.compile of bnkit's layer with PyTorch's uncompiled one.
    """
    command = [sys.executable, __file__, "--json", *(["--compiled"] if compiled else [])]
    run = subprocess.run(
        command, env={**os.environ, **QUIET}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def measure(shape, limit, compiled=False, seconds=3.0) -> dict:
    import torch
    from torch import nn

    from bnkit import layers

    torch.manual_seed(0)
    name = "BatchNorm1d" if len(shape) == 2 else "BatchNorm2d"
    theirs, ours = getattr(nn, name)(shape[1]), getattr(layers, name)(shape[1])
    fast = torch.compile(ours) if compiled else ours
    x, grad = torch.randn(shape).requires_grad_(), torch.randn(shape)
    steps = [lambda: theirs(x).backward(grad), lambda: fast(x).backward(grad)]
    medians = interleaved_medians(steps, [x, *theirs.parameters(), *ours.parameters()], seconds)
    torch_us, bnkit_us = (1e6 * t for t in medians)
    return {
        "name": f"compiled {name}" if compiled else name,
        "shape": list(shape),
        "torch_us": round(torch_us, 1),
        "bnkit_us": round(bnkit_us, 1),
        "ratio": round(bnkit_us / torch_us, 2),
        "limit": limit,
    }


def interleaved_medians(steps, leaves, seconds) -> list[float]:
    """Median CPU seconds of each step, taking turns; gradients are dropped outside the clock."""
    for step in steps * 5:  # the first runs compile and fill caches
        step()
    times = [[] for _ in steps]
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        for step, record in zip(steps, times, strict=True):
            start = time.process_time()
            step()
            record.append(time.process_time() - start)
            for leaf in leaves:
                leaf.grad = None
    return [statistics.median(record) for record in times]


def main(arguments) -> None:
    if "--json" in arguments:
        compiled = "--compiled" in arguments
        cases = [COMPILED_SHAPE_AND_LIMIT] if compiled else SHAPES_AND_LIMITS
        print(json.dumps([measure(shape, limit, compiled) for shape, limit in cases]))
        return
    for row in norm_ratios() + norm_ratios(compiled=True):
        print(
            f"{row['name']:21} {row['shape']!s:17} PyTorch {row['torch_us']:8.1f} us   "
            f"bnkit {row['bnkit_us']:8.1f} us   {row['ratio']:.2f} x (at most {row['limit']})"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
