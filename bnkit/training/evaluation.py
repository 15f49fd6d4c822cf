"""Loss and accuracy, as means over samples.

Example:
    >>> model = nn.Identity()
    >>> evaluate(model, [(torch.eye(2), torch.tensor([0, 1]))])[1]
    1.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnkit.distributed.replicas import Replicas
from bnkit.training.devices import device_of

__all__ = ["Loader", "LossFunction", "evaluate", "means_over_samples"]

Loader = Iterable[tuple[Tensor, Tensor]]
LossFunction = Callable[[Tensor, Tensor], Tensor]


def evaluate(
    model: nn.Module,
    loader: Loader,
    loss_fn: LossFunction | None = None,
    replicas: Replicas | None = None,
) -> tuple[float, float]:
    """Measure loss and accuracy in evaluation mode, and give every module its mode back.

    Args:
        model: The model.
        loader: Batches of (input, target).
        loss_fn: Mean loss of a batch; ``None`` is the cross entropy.
        replicas: Processes that measure together, each with its part of the data.

    Returns:
        Loss and accuracy, both means over *samples*: a short last batch does not weigh more. The
        accuracy is NaN if the targets are not classes (integers).

    Raises:
        ValueError: The loader is empty.

    Example:
        >>> model = torch.nn.Linear(2, 2)
        >>> loss, accuracy = evaluate(model, [(torch.zeros(4, 2), torch.zeros(4).long())])
        >>> accuracy in (0.0, 1.0), model.training
        (True, True)
    """
    loss_fn, device = loss_fn or F.cross_entropy, device_of(model)
    modes = [(module, module.training) for module in model.modules()]
    losses, hits, sizes = [], [], []
    model.eval()
    try:
        with torch.no_grad():
            for x, y in (batch for batch in loader if len(batch[0])):
                output, y = model(x.to(device)), y.to(device)
                losses.append(loss_fn(output, y))
                hits.append(_hit_rate(output, y))
                sizes.append(len(x))
    finally:
        for module, training in modes:
            module.training = training
    loss, accuracy = means_over_samples([losses, hits], sizes, device, replicas)
    return loss, accuracy


def means_over_samples(
    columns: list[list[Tensor]],
    sizes: list[int],
    device: str | torch.device = "cpu",
    replicas: Replicas | None = None,
) -> list[float]:
    """Weight the means of batches by their sizes.

    Args:
        columns: Some quantities' means, one number a batch each.
        sizes: Samples in each batch.
        device: Where processes communicate.
        replicas: Processes whose batches count too.

    Returns:
        Each quantity's mean over all samples.

    Raises:
        ValueError: There is no sample.

    Example:
        >>> means_over_samples([[torch.tensor(1.0), torch.tensor(4.0)]], [2, 1])
        [2.0]
    """
    totals = [float(sum(sizes))]
    for values in columns:
        numbers = torch.stack(values).tolist() if values else []
        weighted = zip(numbers, sizes, strict=True)
        totals.append(math.fsum(value * size for value, size in weighted))
    count, *totals = replicas.sum(totals, device) if replicas else totals
    if not count:
        raise ValueError("expected a loader with at least one sample, got an empty one")
    return [total / count for total in totals]


def _hit_rate(output: Tensor, y: Tensor) -> Tensor:
    if y.is_floating_point():
        return torch.full((), math.nan, device=y.device)
    return (output.argmax(1) == y).float().mean()
