"""Batch normalization of a batch that is spread over several processes, as a function.

Each process holds a shard of shape (N_r, C, *); the shards may have unlike sizes. One mean and
one variance per channel are taken over the values of all of them.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from bnkit.distributed.collectives import (
    all_reduce,
    exchange_descriptions,
    group_size,
    refuse_differences,
    refuse_refusals,
)
from bnkit.functional import batch_norm
from bnkit.shapes import batch_axes, cast, check_batch_norm, full_precision, per_channel

__all__ = ["sync_batch_norm"]


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
        >>> x = torch.tensor([[1.0, 10.0], [3.0, 50.0]])
        >>> sync_batch_norm(x, None, None, eps=1e-12)  # one process: as batch_norm
        tensor([[-1., -1.],
                [ 1.,  1.]])

    Source: Ioffe and Szegedy (2015), algorithm 1, with its sums split;
    ``torch.nn.SyncBatchNorm``.
    """
    if group_size(process_group) == 1:
        return batch_norm(input, running_mean, running_var, weight, bias, True, momentum, eps)
    total = _agree(input, running_mean, running_var, weight, bias, eps, process_group)
    if total == 0:  # nothing to learn from, on any process
        return batch_norm(input, running_mean, running_var, weight, bias, True, momentum, eps)
    return _SyncBatchNorm.apply(
        input, weight, bias, running_mean, running_var, momentum, eps, total, process_group
    )


def _agree(input, running_mean, running_var, weight, bias, eps, process_group):
    """Number of values per channel over all processes, or an error on every one of them."""
    refusal = None
    try:
        check_batch_norm(input, running_mean, running_var, weight, bias, True, eps, alone=False)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        refusal = error  # kept until the others know
    descriptions = exchange_descriptions(input, refusal is not None, process_group)
    refuse_differences(descriptions, process_group)
    if refusal is not None:
        raise refusal
    refuse_refusals(descriptions, process_group)
    total = sum(description.count for description in descriptions)
    if total == 1:
        shape = tuple(input.shape)
        raise ValueError(f"expected more than 1 value per channel over all ranks, got {shape} here")
    return total


class _SyncBatchNorm(Function):
    """The equations with one exchange in the backward pass."""

    @staticmethod
    def forward(
        ctx, input, weight, bias, running_mean, running_var, momentum, eps, total, process_group
    ):
        x = full_precision(input)
        mean, centered, var = _global_statistics(x, total, process_group)
        if running_mean is not None:
            unbiased = var * (total / (total - 1))
            running_mean.lerp_(cast(mean, running_mean.dtype), momentum)
            running_var.lerp_(cast(unbiased, running_var.dtype), momentum)
        rstd = (var + eps).rsqrt_()
        scale = rstd if weight is None else rstd * weight
        ctx.save_for_backward(input, weight, centered, rstd, scale)
        ctx.eps, ctx.total, ctx.process_group = eps, total, process_group
        output = centered * per_channel(scale, x)
        if bias is not None:
            output += per_channel(bias, x)
        return cast(output, input.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, centered, rstd, scale = ctx.saved_tensors
        needed, group = ctx.needs_input_grad[:3], ctx.process_group
        if torch.is_grad_enabled():  # create_graph: saved intermediates carry no graph
            grads = _plain_backward(grad_output, input, weight, ctx.eps, ctx.total, group)
        else:
            g = full_precision(grad_output)
            grads = _fused_backward(g, centered, rstd, scale, ctx.total, needed[0], group)
        grads = [grad if need else None for grad, need in zip(grads, needed, strict=True)]
        return *grads, *[None] * 6


def _global_statistics(x, total, process_group):
    """Mean (C,), the shard minus it, and biased variance (C,), over all processes."""
    mean = all_reduce(x.sum(batch_axes(x)), process_group) / total
    centered = x - per_channel(mean, x)
    squares = centered.square().sum(batch_axes(x))
    return mean, centered, all_reduce(squares, process_group) / total


def _plain_backward(grad_output, input, weight, eps, total, process_group):
    """`batch_norm_backward` with means over all processes; differentiable in its turn."""
    x, g = full_precision(input), full_precision(grad_output)
    _, centered, var = _global_statistics(x, total, process_group)
    rstd = (var + eps).rsqrt()
    x_hat = centered * per_channel(rstd, x)
    grad_bias, grad_weight = g.sum(batch_axes(x)), (g * x_hat).sum(batch_axes(x))  # of this shard
    mean_g, mean_gx = all_reduce(torch.stack([grad_bias, grad_weight]), process_group) / total
    scale = rstd if weight is None else rstd * weight
    grad_input = per_channel(scale, x) * (
        g - per_channel(mean_g, x) - x_hat * per_channel(mean_gx, x)
    )
    return grad_input.to(input.dtype), grad_weight, grad_bias


def _fused_backward(g, centered, rstd, scale, total, needs_input, process_group):
    """The same with x_hat = rstd * centered multiplied out, in one buffer."""
    grad_bias = g.sum(batch_axes(g))
    buffer = g * centered
    grad_weight = buffer.sum(batch_axes(g)).mul_(rstd)
    if not needs_input:
        return None, grad_weight, grad_bias
    mean_g, mean_gx = all_reduce(torch.stack([grad_bias, grad_weight]), process_group) / total
    along = per_channel(mean_gx * rstd, g)
    grad_input = torch.addcmul(g, centered, along, value=-1, out=buffer)
    grad_input.sub_(per_channel(mean_g, g)).mul_(per_channel(scale, g))
    return grad_input, grad_weight, grad_bias
