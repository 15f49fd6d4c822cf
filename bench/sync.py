"""Time synchronized batch norm in 1, 2 and 4 processes.

The clock on the wall counts here: waiting for the others is what synchronizing costs, and it takes
no CPU time. All processes start each step together, behind a barrier.
"""

from __future__ import annotations

import random
import statistics
import time

import torch
import torch.distributed as dist
from torch import nn

from bnkit.distributed import SyncBatchNorm, launch
from bnkit.layers import BatchNorm1d, BatchNorm2d

WORLDS = (1, 2, 4)
SHAPES = ((64, 128), (64, 32, 28, 28))  # of each process's input


def measure(steps: int = 40, repeats: int = 5) -> list[dict]:
    """Rows with shape, processes and times in microseconds, one value per repetition."""
    rows = []
    for world in WORLDS:
        for shape in SHAPES:
            ranks = launch(worker, world, shape, steps, repeats)
            times = {
                name: [statistics.mean(values) for values in zip(*parts, strict=True)]
                for name, parts in ((name, [rank[name] for rank in ranks]) for name in ranks[0])
            }
            rows.append({"shape": list(shape), "processes": world, "times": times})
    return rows


def worker(rank: int, world: int, shape: tuple[int, ...], steps: int, repeats: int) -> dict:
    """Microseconds of forward and backward by repetition: local, synchronized and alone.

    "alone" is rank 0 with the whole batch and a local layer, while the others wait.
    """
    torch.manual_seed(rank)
    local = {2: BatchNorm1d, 4: BatchNorm2d}[len(shape)]
    whole = (world * shape[0], *shape[1:])
    cases = {
        "local": step_of(local(shape[1]), shape),
        "sync": step_of(SyncBatchNorm(shape[1]), shape),
        "alone": step_of(local(shape[1]), whole) if rank == 0 else lambda: None,
    }
    timed_round(cases, 5, seed=0)  # the first steps fill caches and connect the processes
    rounds = [timed_round(cases, steps, seed) for seed in range(repeats)]
    mine = {name: [part[name] for part in rounds] for name in cases}
    gathered = [None] * world
    dist.all_gather_object(gathered, mine["alone"])
    return {**mine, "alone": gathered[0]}


def step_of(layer: nn.Module, shape: tuple[int, ...]):
    x, grad = torch.randn(shape).requires_grad_(), torch.randn(shape)

    def step() -> None:
        layer(x).backward(grad)
        x.grad = layer.weight.grad = layer.bias.grad = None

    return step


def timed_round(cases: dict, steps: int, seed: int) -> dict[str, float]:
    """Median wall time of each case, in an order that is shuffled alike in all processes."""
    order, shuffle = list(cases), random.Random(seed).shuffle
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(steps):
        shuffle(order)
        for name in order:
            dist.barrier()
            start = time.perf_counter()
            cases[name]()
            times[name].append(time.perf_counter() - start)
    return {name: 1e6 * statistics.median(record) for name, record in times.items()}
