"""What chapter 17 runs in several processes.

A new process imports the function that it runs, so the function must stand in a module and not
in a notebook. Each takes its rank and the number of processes first, as
:func:`bnkit.distributed.launch` calls it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from bnkit.distributed import SyncBatchNorm
from bnkit.layers import BatchNorm1d
from bnkit.models import MLP
from bnkit.training import set_seed

__all__ = [
    "NORMS",
    "in_turn",
    "normalize_shard",
    "time_synchronization",
    "train_replica",
    "train_replicas",
]

NORMS = {"without BN": "none", "local BN": nn.BatchNorm1d, "SyncBN": SyncBatchNorm}


def in_turn(rank: int, world_size: int, jobs: Sequence[tuple]) -> list[Any]:
    """What each of several jobs returns, a job being a worker and its arguments after two."""
    return [job(rank, world_size, *arguments) for job, *arguments in jobs]


def train_replica(rank, world_size, norm, seed, pixels, labels, batches):
    """Weights and buffers of one replica, trained under DDP, in float64, by SGD."""
    set_seed(seed)
    net = MLP([784, 32, 10], norm=NORMS[norm]).double()
    replica = DistributedDataParallel(net)
    for batch in batches:
        rows = batch.chunk(world_size)[rank]
        loss = F.cross_entropy(replica(pixels[rows]), labels[rows])
        net.zero_grad()
        loss.backward()  # DDP averages the gradients of all processes here
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.1 * p.grad
    return net.state_dict()


def train_replicas(
    rank: int, world_size: int, seeds: Sequence[int], *data: Tensor | Sequence[Tensor]
) -> dict[str, list[dict[str, Tensor]]]:
    """A replica trained with every norm of `NORMS`: for each a state for every seed."""
    return {
        norm: [train_replica(rank, world_size, norm, seed, *data) for seed in seeds]
        for norm in NORMS
    }


def normalize_shard(
    rank: int, world_size: int, x: Tensor, grad_output: Tensor, sizes: Sequence[int]
) -> dict[str, Tensor]:
    """Rows of `x` by `sizes`, sent forward and backward through a synchronized layer."""
    layer = SyncBatchNorm(x.shape[1], dtype=x.dtype)
    shard = x.split(sizes)[rank].clone().requires_grad_()
    output = layer(shard)
    output.backward(grad_output.split(sizes)[rank])
    return {
        "output": output.detach(),
        "grad_input": shard.grad,
        "grad_weight": layer.weight.grad,
        "grad_bias": layer.bias.grad,
        "running_mean": layer.running_mean,
        "running_var": layer.running_var,
    }


def time_synchronization(
    rank: int,
    world_size: int,
    groups: Sequence[int],
    shapes: Sequence[tuple[int, int]],
    lengths: Sequence[int],
    rounds: int = 7,
) -> dict[str, dict[int, dict[Any, list[float]]]]:
    """Seconds of layers and of messages in groups of the first 1, 2, ... processes, round by round.

    The others wait. A layer goes forward and backward, local and synchronized; each number is the
    mean of three calls, and processes outside a group have none for it. What comes first changes
    from round to round.
    """
    result = {"layers": {}, "messages": {}}
    for size in groups:
        group = dist.new_group(list(range(size)))
        if rank < size:
            kinds = ("local", "synchronized")
            layers = {(s, kind): _layer_call(s, kind, group) for s in shapes for kind in kinds}
            messages = {n: _message_call(n, group) for n in lengths}
            result["layers"][size] = _in_rounds(layers, group, rounds)
            result["messages"][size] = _in_rounds(messages, group, rounds)
        dist.barrier()
    return result


def _layer_call(shape: tuple[int, int], kind: str, group: dist.ProcessGroup) -> Callable[[], None]:
    channels = shape[1]
    if kind == "local":
        layer = BatchNorm1d(channels)
    else:
        layer = SyncBatchNorm(channels, process_group=group)
    x, grad_output = torch.randn(shape, requires_grad=True), torch.randn(shape)
    return lambda: layer(x).backward(grad_output)


def _message_call(length: int, group: dist.ProcessGroup) -> Callable[[], None]:
    message = torch.zeros(length)
    return lambda: dist.all_reduce(message, group=group)


def _in_rounds(
    calls: Mapping[Any, Callable[[], None]], group: dist.ProcessGroup, rounds: int, repeats: int = 3
) -> dict[Any, list[float]]:
    seconds = {name: [] for name in calls}
    for turn in range(rounds + 1):  # the first warms up
        for name in _shuffled(calls, turn):
            dist.barrier(group)
            start = time.perf_counter()
            for _ in range(repeats):
                calls[name]()
            if turn:
                seconds[name].append((time.perf_counter() - start) / repeats)
    return seconds


def _shuffled(names: Iterable[Any], turn: int) -> list[Any]:
    """Another order in each round, and in each round the same one in all processes."""
    order = list(names)
    random.Random(turn).shuffle(order)
    return order
