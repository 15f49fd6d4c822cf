"""Batch normalization of a batch that is spread over several processes, as a function.

Each process holds a shard of shape (N_r, C, *); the shards may have unlike sizes. One mean and
one variance per channel are taken over the values of all of them.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor

from bnkit.distributed.collectives import (
    Description,
    Kind,
    all_reduce,
    describe,
    exchange,
    expect_agreement,
    group_size,
    refuse_differences,
    refuse_refusals,
)
from bnkit.functional import Reduce, normalize
from bnkit.shapes import check_batch_norm

__all__ = ["agree", "over", "sync_batch_norm"]

_ASYNCHRONOUS = ("cuda", "xpu")  # devices for which the host has to wait; gloo on the CPU is done


def sync_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    r"""Normalize each channel over the batches of all processes, then scale and shift it.

    .. math::

        m = \sum_r m_r, \qquad
        \mu = \frac{1}{m} \sum_r \sum_i x^{(r)}_i, \qquad
        \sigma^2 = \frac{1}{m} \sum_r \sum_i (x^{(r)}_i - \mu)^2

    Sums and counts travel first, centered squares second, so that no process's own mean enters
    and nothing cancels. The forward pass communicates three times (6 integers, C sums, C
    squares), the backward pass once (2 C numbers) if the input needs a gradient. The gradients of
    `weight` and `bias` stay local: their sum over the processes is that of the whole batch.

    The integers tell what each process has, so that a mistake is named instead of a deadlock.
    `SyncBatchNorm` reads them on a GPU, where that would stop the host, at its first step and after
    a change of this process's input alone; otherwise the device compares them, and ends a
    difference with an assertion. In a graph of `torch.compile`, too, nothing is read.

    Args:
        input: This process's shard, shape (N, C, *); N may differ between processes and be 1 or 0.
        running_mean: Shape (C,) or None; moved in place, alike on all processes.
        running_var: Shape (C,) or None; takes the unbiased variance over all m values.
        weight: Gamma, shape (C,); None means 1.
        bias: Beta, shape (C,); None means 0.
        momentum: Weight of the *new* value (Keras and ONNX: of the old one).
        eps: Added to the variance under the square root.
        process_group: Who takes part; None means all processes.

    Returns:
        Tensor of the input's shape and dtype.

    Raises:
        ValueError: On every process, naming the rank whose number of axes, channels, dtype or
            need of a gradient differs; or one value per channel over all processes.
        RuntimeError: A refusal of :func:`bnkit.functional.batch_norm`, of this process's input or
            of another's; or a process that died or did not answer within the group's timeout.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 10.0], [3.0, 50.0]])
        >>> sync_batch_norm(x, None, None, eps=1e-12)  # one process: as batch_norm
        tensor([[-1., -1.],
                [ 1.,  1.]])

    Source: Ioffe and Szegedy (2015), algorithm 1, with its sums split;
    ``torch.nn.SyncBatchNorm``.
    """
    total, _ = agree(input, running_mean, running_var, weight, bias, eps, process_group)
    reduce = over(process_group)
    return normalize(
        input, running_mean, running_var, weight, bias, True, momentum, eps, total, reduce
    )


def over(process_group: dist.ProcessGroup | None) -> Reduce | None:
    """What sums a tensor over the processes; None for one process."""
    if group_size(process_group) == 1:
        return None
    return partial(all_reduce, process_group=process_group)


def agree(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    process_group: dist.ProcessGroup | None,
    known: Kind | None = None,
) -> tuple[int | Tensor | None, Kind | None]:
    """Count the values per channel of all processes, or raise an error on every one of them.

    Every process sends the same messages in every state, so none can wait for a message that
    another holds for needless. Only to *read* what came, for which the host waits for the device,
    can be spared: where this process's input is of the `known` kind, the device compares alone.
    """
    alone, refusal = group_size(process_group) == 1, None
    try:
        check_batch_norm(input, running_mean, running_var, weight, bias, True, eps, alone)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        refusal = error  # kept until the others know
    total, kind = None, None
    if not alone:
        own = describe(input, refusal is not None)
        received = exchange(own, input.device, process_group)  # (ranks, 6)
        kind = own.kind
        if _reads(input, own, known):
            descriptions = [Description(*row) for row in received.tolist()]
            refuse_differences(descriptions, process_group)
            if refusal is None:
                refuse_refusals(descriptions, process_group)
                total = _sum_of_counts(input, descriptions)
        else:
            expect_agreement(received)
            total = received[:, -1].sum().double()
    if refusal is not None:
        raise refusal
    return total, kind


def _reads(input: Tensor, own: Description, known: Kind | None) -> bool:
    """Whether the host looks at the answers: never in a compiled graph, always where it is free."""
    if torch.compiler.is_compiling():
        return False
    waits = input.device.type not in _ASYNCHRONOUS
    return waits or own.kind != known or bool(own.refused) or own.count < 2


def _sum_of_counts(input: Tensor, descriptions: list[Description]) -> int | None:
    total = sum(description.count for description in descriptions)
    if total == 1:
        shape = tuple(input.shape)
        raise ValueError(f"expected more than 1 value per channel over all ranks, got {shape} here")
    return total or None
