"""Axes, dtypes and refusals, shared by `bnkit.functional` and `bnkit.relatives`.

A refusal has PyTorch's kind of error, and one line that tells the shape received and what was
expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "batch_axes",
    "cast",
    "check_batch_norm",
    "check_groups",
    "check_positions",
    "check_trailing",
    "count_per_channel",
    "full_precision",
    "per_channel",
]

_LOW = (torch.float16, torch.bfloat16)
_CHANNEL_NAMES = ("running_mean", "running_var", "weight", "bias")


def batch_axes(x: Tensor) -> list[int]:
    """All axes but that of the channels."""
    return [0, *range(2, x.dim())]


def count_per_channel(x: Tensor) -> int:
    """Number m of values that share a channel's statistics."""
    return x.numel() // x.shape[1]


def per_channel(v: Tensor | None, x: Tensor) -> Tensor | None:
    """`v` of shape (C,) viewed as (1, C, 1, ...), to broadcast against `x`; None stays None."""
    return v if v is None or x.dim() == 2 else v.view(1, -1, *[1] * (x.dim() - 2))


def full_precision(x: Tensor) -> Tensor:
    """`x`, in float32 where it is float16 or bfloat16."""
    return x.float() if x.dtype in _LOW else x


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """`x.to(dtype)`, which alone costs as much as a small product where it changes nothing."""
    return x if x.dtype == dtype else x.to(dtype)


def check_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    eps: float,
    alone: bool = True,
) -> None:
    """Refuse what PyTorch refuses, telling the shape received and what was expected.

    `alone` is False where other processes hold further values of each channel.
    """
    shape = tuple(input.shape)
    if not input.is_floating_point():
        raise NotImplementedError(f"expected a floating point input, got {input.dtype} {shape}")
    if len(shape) < 2:
        raise RuntimeError(f"expected input of shape (N, C, *), got {shape}")
    if training and alone and 0 < input.numel() == shape[1]:
        raise ValueError(f"expected more than 1 value per channel in training, got {shape}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"expected eps > 0 in training, >= 0 otherwise, got eps={eps}")
    if training and (running_mean is None) != (running_var is None):
        raise ValueError("expected running_mean and running_var, or neither, got one of them")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("expected running_mean and running_var outside training, got None")
    for name, v in (("running_mean", running_mean), ("running_var", running_var)):
        if v is not None and v.requires_grad:
            raise RuntimeError(f"expected {name} without requires_grad: it is not learned")
    _check_channels(input, running_mean, running_var, weight, bias)


def _check_channels(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
) -> None:
    size, dtype, low = input.shape[1:2], input.dtype, input.dtype in _LOW
    named = zip(_CHANNEL_NAMES, (running_mean, running_var, weight, bias), strict=True)
    for name, v in named:
        if v is None or (v.shape == size and v.dtype == dtype):
            continue
        if v.shape != size:
            expected = f"shape {tuple(size)} for input of shape {tuple(input.shape)}"
            raise RuntimeError(f"expected {name} of {expected}, got {tuple(v.shape)}")
        if v.dtype != dtype and not (low and v.dtype == torch.float32):
            expected = f"{dtype} or torch.float32" if low else f"{dtype}"
            raise RuntimeError(f"expected {name} of dtype {expected}, got {v.dtype}")


def check_trailing(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None
) -> None:
    """Refusals of layer and rms norm: the input has to end in `normalized_shape`."""
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"expected input ending in {shape or '(1 axis)'}, got {tuple(input.shape)}"
        )
    for name, v in (("weight", weight), ("bias", bias)):
        if v is not None and tuple(v.shape) != shape:
            raise RuntimeError(f"expected {name} of shape {shape}, got {tuple(v.shape)}")


def check_groups(
    input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None
) -> None:
    """Refusals of group norm: C channels in equal groups of more than one value."""
    shape = tuple(input.shape)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise RuntimeError(f"expected (N, C, *) with C in {num_groups} equal groups, got {shape}")
    if input.numel() == num_groups:
        raise ValueError(f"expected more than 1 value per group, got {shape}")
    for name, v in (("weight", weight), ("bias", bias)):
        if v is not None and tuple(v.shape) != shape[1:2]:
            raise RuntimeError(f"expected {name} of shape {shape[1:2]}, got {tuple(v.shape)}")


def check_positions(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    use_input_stats: bool,
) -> None:
    """Refusals of instance norm: more than one position, or running statistics."""
    shape = tuple(input.shape)
    if len(shape) < 2 or (use_input_stats and math.prod(shape[2:]) == 1):
        raise ValueError(f"expected (N, C, *) with more than 1 position, got {shape}")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("expected running_mean and running_var, got None")
    _check_channels(input, running_mean, running_var, weight, bias)
