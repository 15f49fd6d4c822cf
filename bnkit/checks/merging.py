"""Exercises on statistics that are spread over batches or processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnkit.checks.exercise import Exercise, examine
from bnkit.checks.merging_mistakes import MERGE, SYNC
from bnkit.book.observe import Facets, Probe, as_seen, calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_merge", "check_sync"]

SECTION = "12_train_test_mismatch.ipynb#Two variances"


def _merged(counts: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    share = (counts / counts.sum())[:, None]
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0)


def _statistics(*batches: list) -> Probe:
    parts = [torch.tensor(batch) for batch in batches]
    inputs = {
        "counts": torch.tensor([float(len(part)) for part in parts]),
        "means": torch.stack([part.mean(0) for part in parts]),
        "variances": torch.stack([part.var(0, unbiased=False) for part in parts]),
    }
    return calls(inputs, ("mean", "variance"))


_MERGE = Exercise(
    "merge",
    _merged,
    [
        _statistics([[1.0], [2.0], [3.0]], [[7.0]]),
        _statistics([[1.0, 4.0], [5.0, 2.0]], [[3.0, 9.0], [4.0, -1.0]]),
        _statistics([[10001.0], [10003.0]], [[10002.0], [10006.0]]),
        _statistics([[0.0, 1.0], [2.0, 2.0]], [[7.0, 1.0]], [[3.0, 0.0], [4.0, 4.0], [8.0, 2.0]]),
    ],
    MERGE,
    SECTION,
)


def check_merge(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the merging of the statistics of several batches or processes.

    Args:
        fn: ``fn(counts, means, variances) -> mean, variance`` with counts of shape (P,) for P
            batches, means and biased variances of shape (P, C), the results of shape (C,): those
            of all examples together.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_merge(lambda counts, means, variances: (means.mean(0), variances.mean(0))).mistake
        'plain averages'

    Source: chapter 12, exercise 1; Chan et al. (1979).
    """
    return examine(_MERGE, fn, limit)


def _together(shards: list[Tensor], eps: float) -> list[Tensor]:
    x = torch.cat(shards)
    y = (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps)
    return list(y.split([len(shard) for shard in shards]))


def _shards(x: list, sizes: list[int], eps: float) -> Probe:
    parts = torch.tensor(x).split(sizes)

    def run(answer: Callable) -> Facets:
        outputs = answer([part.clone() for part in parts], eps)
        facets = {f"output {i}": as_seen(y) for i, y in enumerate(outputs)}
        return facets | _gradient(answer, x, sizes, eps)

    return Probe({f"shard {i}": part for i, part in enumerate(parts)} | {"eps": eps}, run)


def _gradient(answer: Callable, x: list, sizes: list[int], eps: float) -> Facets:
    """Of the first shard's outputs alone, with respect to the inputs of all shards."""
    leaf = torch.tensor(x, requires_grad=True)
    first = torch.as_tensor(answer(list((leaf * 1).split(sizes)), eps)[0])
    if not first.requires_grad:
        return {"gradient of all shards": None}
    factors = 2.0 ** torch.arange(first.numel()).view_as(first)
    return {
        "gradient of all shards": as_seen(torch.autograd.grad((first * factors).sum(), leaf)[0])
    }


_SYNC = Exercise(
    "sync",
    _together,
    [
        _shards([[1.0], [3.0], [8.0]], [2, 1], 1e-5),
        _shards([[1.0, 0.5], [2.0, 3.0], [6.0, 1.0], [3.0, -2.0]], [2, 2], 0.5),
        _shards([[10001.0], [10003.0]], [1, 1], 1e-5),
        _shards([[1.0, 4.0], [2.0, 0.0], [7.0, 1.0], [5.0, 5.0], [0.0, 2.0]], [1, 3, 1], 0.1),
    ],
    SYNC,
    SECTION,
)


def check_sync(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a normalization whose batch is spread over several processes.

    Args:
        fn: ``fn(shards, eps) -> outputs``: a list of tensors of shape (N_p, C), one for each
            process, and a list of their outputs, normalized with the statistics of all.
        limit: Seconds that it may take.

    Returns:
        What was found. Gradients are looked at too, where the answer carries any.

    Example:
        >>> def alone(shards, eps):
        ...     return [(x - x.mean(0)) / (x.var(0, unbiased=False) + eps).sqrt() for x in shards]
        >>> check_sync(alone).mistake
        'every process on its own'

    Source: ``torch.nn.SyncBatchNorm``.
    """
    return examine(_SYNC, fn, limit)


EXERCISES = [_MERGE, _SYNC]
