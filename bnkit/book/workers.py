r"""What chapter 17 runs in several processes.

A new process imports the function that it runs, so the function must stand in a module and not
in a notebook. Each takes its rank and the number of processes first, as
:func:`bnkit.distributed.launch` calls it.

Example:
    >>> from bnkit.distributed import launch
    >>> x = torch.tensor([[1.0], [2.0], [9.0]])
    >>> first, second = launch(in_turn, 2, [(normalize_shard, x, x, [2, 1])])
    >>> second[0]["running_mean"]  # 0.1 times the mean of all three, though its shard is the 9
    tensor([0.4000])
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from bnkit.distributed import SyncBatchNorm
from bnkit.models import MLP, make_norm
from bnkit.training import set_seed

__all__ = [
    "NORMS",
    "Run",
    "in_turn",
    "normalize_shard",
    "time_synchronization",
    "train_in_step",
    "train_replica",
    "train_replicas",
]

NORMS = {"without BN": "none", "local BN": nn.BatchNorm1d, "SyncBN": SyncBatchNorm}


def in_turn(rank: int, world_size: int, jobs: Sequence[tuple]) -> list[Any]:
    """Do several jobs in one start of the processes, which alone costs seconds.

    Args:
        rank: This process.
        world_size: Number of processes.
        jobs: For each a worker of this module and its arguments after the first two.

    Returns:
        What each job returned.

    Example:
        >>> in_turn(0, 2, [(lambda rank, world_size, x: (rank, world_size, x), "a")])
        [(0, 2, 'a')]
    """
    return [job(rank, world_size, *arguments) for job, *arguments in jobs]


def train_replica(rank, world_size, norm, seed, pixels, labels, batches, lr=0.1):
    """Train one replica of a small network under DDP, in float64.

    Args:
        rank: This process.
        world_size: Number of processes.
        norm: A key of `NORMS`.
        seed: Seed of the initial weights.
        pixels: Float64 (N, 784).
        labels: Classes (N,).
        batches: Rows of each global batch; this process takes its part of each.
        lr: Learning rate of plain SGD.

    Returns:
        Weights and buffers of this replica after the last step.

    Source: ``torch.nn.parallel.DistributedDataParallel`` with its defaults.
    """
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
                p -= lr * p.grad
    return net.state_dict()


def train_replicas(
    rank: int, world_size: int, seeds: Sequence[int], *data: Tensor | Sequence[Tensor]
) -> dict[str, list[dict[str, Tensor]]]:
    """Train a replica with every norm of `NORMS` and every seed.

    Args:
        rank: This process.
        world_size: Number of processes.
        seeds: Seeds of the initial weights.
        *data: Pixels, labels and batches, as :func:`train_replica` takes them.

    Returns:
        For each norm one state for each seed.
    """
    return {
        norm: [train_replica(rank, world_size, norm, seed, *data) for seed in seeds]
        for norm in NORMS
    }


def normalize_shard(
    rank: int, world_size: int, x: Tensor, grad_output: Tensor, sizes: Sequence[int]
) -> dict[str, Tensor]:
    """Send one shard of a batch forward and backward through synchronized batch normalization.

    Args:
        rank: This process.
        world_size: Number of processes.
        x: The whole batch (N, C); this process takes rows by `sizes`.
        grad_output: Gradient by the output, (N, C).
        sizes: Rows for each process.

    Returns:
        ``output`` and ``grad_input`` of the shard, ``grad_weight`` and ``grad_bias`` of the shard
        alone, ``running_mean`` and ``running_var``.
    """
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


@dataclass(frozen=True)
class Run:
    """One training run of :func:`train_in_step`.

    Attributes:
        norm: A key of `NORMS`.
        size: Rows per process and step.
        lr: Learning rate of plain SGD.
        seed: Seed of the initial weights and of the order of the digits.
        rows: Digits to train on, each once.
    """

    norm: str
    size: int
    lr: float
    seed: int
    rows: int


def train_in_step(
    rank: int, world_size: int, runs: Sequence[Run], images: Tensor, labels: Tensor, held_out: int
) -> list[dict[str, float]]:
    """Train the 784-128-10 network in all processes, once for each run, and test it.

    The gradients are averaged by one message per step, as DDP does; DDP itself would take two
    seconds to import.

    Args:
        rank: This process.
        world_size: Number of processes.
        runs: The settings.
        images: Bytes (N, 784).
        labels: Classes (N,).
        held_out: How many of the last rows to test on, and never to train on.

    Returns:
        For each run ``accuracy`` (in percent, with the statistics that this rank kept),
        ``reestimated`` (the same with statistics taken anew over 500 digits) and ``seconds``.
    """
    pixels = images.float() / 255
    train, test = len(pixels) - held_out, slice(len(pixels) - held_out, None)
    results = []
    for run in runs:
        set_seed(run.seed)
        net = MLP([784, 128, 10], norm=NORMS[run.norm])
        batches = torch.randperm(train)[: run.rows].split(run.size * world_size)
        dist.barrier()
        start = time.perf_counter()
        for batch in batches:
            rows = batch.chunk(world_size)[rank]
            loss = F.cross_entropy(net(pixels[rows]), labels[rows])
            _step(net, loss, run.lr, world_size)
        seconds = time.perf_counter() - start
        kept = _accuracy(net, pixels[test], labels[test])
        _reestimate(net, pixels[:500])
        fresh = _accuracy(net, pixels[test], labels[test])
        results.append({"accuracy": kept, "reestimated": fresh, "seconds": seconds})
    return results


@torch.no_grad()
def _step(net, loss, lr, world_size):
    parameters = list(net.parameters())
    with torch.enable_grad():
        grads = torch.autograd.grad(loss, parameters)
    message = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(message)
    parts = message.split([p.numel() for p in parameters])
    for p, part in zip(parameters, parts, strict=True):
        p.sub_(part.view_as(p), alpha=lr / world_size)


@torch.no_grad()
def _accuracy(net, pixels, labels):
    return 100 * (net.eval()(pixels).argmax(1) == labels).float().mean().item()


@torch.no_grad()
def _reestimate(net, pixels):
    """Fresh statistics of the first layer's output; the same digits in every process."""
    inputs, norm = net[0](pixels), net[1]
    if hasattr(norm, "running_mean"):
        norm.running_mean.copy_(inputs.mean(0))
        norm.running_var.copy_(inputs.var(0))


def time_synchronization(
    rank: int,
    world_size: int,
    groups: Sequence[int],
    shapes: Sequence[tuple[int, int]],
    lengths: Sequence[int],
    rounds: int = 7,
) -> dict[str, dict[int, dict[Any, list[float]]]]:
    """Time layers and messages in groups of the first 1, 2, ... processes; the others wait.

    Args:
        rank: This process.
        world_size: Number of processes.
        groups: Sizes of the groups.
        shapes: Rows per process and channels of the layers.
        lengths: Float32 numbers of the messages.
        rounds: Measurements of each kind, taken in turn; each is the mean of three calls.

    Returns:
        Under ``layers`` for each group size and (shape, kind) the seconds of a forward and a
        backward pass in each round; under ``messages`` for each group size and length those of
        one all-reduce. Empty in a process outside the group.
    """
    result = {"layers": {}, "messages": {}}
    for size in groups:
        group = dist.new_group(list(range(size)))
        calls = {}
        if rank < size:
            layers = {(s, kind): _layer_call(s, kind, group) for s in shapes for kind in _KINDS}
            messages = {n: _message_call(n, group) for n in lengths}
            calls = {"layers": layers, "messages": messages}
        for part in calls:
            result[part][size] = _in_rounds(calls[part], group, rounds)
        dist.barrier()
    return result


_KINDS: dict[str, Callable[[int, dist.ProcessGroup], nn.Module]] = {
    "local": lambda channels, group: make_norm("bnkit", channels),
    "synchronized": lambda channels, group: SyncBatchNorm(channels, process_group=group),
}


def _layer_call(shape, kind, group):
    layer, x = _KINDS[kind](shape[1], group), torch.randn(shape, requires_grad=True)
    grad_output = torch.randn(shape)
    return lambda: layer(x).backward(grad_output)


def _message_call(length, group):
    message = torch.zeros(length)
    return lambda: dist.all_reduce(message, group=group)


def _in_rounds(calls, group, rounds, repeats=3):
    seconds = {name: [] for name in calls}
    for turn in range(rounds + 1):  # the first warms up
        for name, call in calls.items():
            dist.barrier(group)
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            if turn:
                seconds[name].append((time.perf_counter() - start) / repeats)
    return seconds
