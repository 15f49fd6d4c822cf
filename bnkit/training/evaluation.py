"""Loss and accuracy, as means over samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnkit.training.place import (
    Batch,
    LossFunction,
    Processes,
    device_of,
    modes_of,
    pair_of,
    set_modes,
)

__all__ = ["Loader", "evaluate", "means_over_samples"]

Loader = Iterable[Batch]
IGNORED = -100  # PyTorch's default `ignore_index`


def evaluate(
    model: nn.Module,
    loader: Loader,
    loss_fn: LossFunction | None = None,
    replicas: Processes | None = None,
) -> tuple[float, float]:
    """Measure loss and accuracy in evaluation mode, and give every module its mode back.

    Args:
        model: The model.
        loader: Batches of (input, target), two tensors each.
        loss_fn: Mean loss of a batch; ``None`` is the cross entropy.
        replicas: Processes that measure together, each with its part of the data.

    Returns:
        Loss and accuracy, both means over *samples*: a short last batch does not weigh more. The
        accuracy is NaN unless outputs (N, C, *) score two or more classes, whose numbers are the
        targets, integers (N, *) or (N, 1); -100, which PyTorch's losses ignore, is left out.

    Raises:
        ValueError: The loader is empty, or its batches are no such pairs.

    Example:
        >>> model = torch.nn.Linear(2, 2)
        >>> loss, accuracy = evaluate(model, [(torch.zeros(4, 2), torch.zeros(4).long())])
        >>> accuracy in (0.0, 1.0), model.training
        (True, True)
    """
    loss_fn, device = loss_fn or F.cross_entropy, device_of(model)
    modes, losses, hits, sizes = modes_of(model), [], [], []
    model.eval()
    try:
        with torch.no_grad():
            for x, y in map(pair_of, loader):
                if len(x) == 0:
                    continue
                output, y = model(x.to(device)), y.to(device)
                losses.append(loss_fn(output, y))
                hits.append(_hit_rate(output, y))
                sizes.append(len(x))
    finally:
        set_modes(modes)
    loss, accuracy = means_over_samples([losses, hits], sizes, replicas or Processes(), device)
    return loss, accuracy


def means_over_samples(
    columns: Sequence[Sequence[Tensor]],
    sizes: Sequence[int],
    processes: Processes,
    device: str | torch.device,
) -> list[float]:
    """Weight each column's means of batches by the batches' sizes, over all processes."""
    totals = [float(sum(sizes))]
    for values in columns:
        numbers = torch.stack(tuple(values)).reshape(len(sizes)).tolist() if values else []
        weighted = zip(numbers, sizes, strict=True)
        totals.append(math.fsum(value * size for value, size in weighted))
    count, *totals = processes.sum(totals, device)
    if not count:
        raise ValueError("expected a loader with at least one sample, got an empty one")
    return [total / count for total in totals]


def _hit_rate(output: Tensor, y: Tensor) -> Tensor:
    """Part of the targets whose class has the highest score; NaN where there are no classes."""
    if isinstance(output, Tensor) and output.dim() >= 2 and output.shape[1] >= 2:
        column = y.dim() == output.dim() and y.shape[1] == 1
        y = y.squeeze(1) if column else y  # else it would broadcast to (N, N)
        if y.shape == output[:, 0].shape and not (y.is_floating_point() or y.is_complex()):
            counted = y.long() != IGNORED
            hits, strange = output.argmax(1) == y, (y < 0) & counted | (y >= output.shape[1])
            rate = hits.sum() / counted.sum()
            return torch.where(strange.any(), math.nan, rate)  # such numbers are no classes
    return torch.full((), math.nan, device=y.device)
