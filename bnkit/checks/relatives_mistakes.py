"""Known mistakes in the relatives of batch normalization, as data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnkit.checks.exercise import Mistake
from bnkit.checks.forward_mistakes import EPSILON, UNDO, WHICH_VARIANCE, normalized

__all__ = ["FAMILY", "GROUP_NORM", "LAYER_NORM", "family"]

AXES = "13_alternatives.ipynb#By hand, over four sets of axes"
FUNCTION = "13_alternatives.ipynb#The equation, and the function"
TRAP = "13_alternatives.ipynb#A trap: two layers called layer norm"


def _rows(x_hat: Callable) -> Callable:
    return lambda x, weight, bias, eps: weight * x_hat(x, eps) + bias


def _one_pass(x, eps):
    mean = x.mean(1, keepdim=True)
    return (x - mean) / torch.sqrt((x * x).mean(1, keepdim=True) - mean * mean + eps)


def _eps_outside(x, eps):
    return (x - x.mean(1, keepdim=True)) / (x.std(1, unbiased=False, keepdim=True) + eps)


def _detached(x, eps):
    mean, std = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True).add(eps).sqrt()
    return (x - mean.detach()) / std.detach()


LAYER_NORM = [
    Mistake(
        "normalized over the batch", "layer_norm", _rows(lambda x, eps: normalized(x, eps)),
        "Layer normalization works with a batch of one. Does yours? Over which axis is its mean?",
        AXES,
    ),
    Mistake(
        "one mean for the whole batch", "layer_norm",
        _rows(lambda x, eps: normalized(x, eps, (0, 1))),
        "Change one example. Do the outputs of the others move?", AXES,
    ),
    Mistake(
        "unbiased variance in the forward pass", "layer_norm",
        _rows(lambda x, eps: normalized(x, eps, (1,), True)),
        "By which number does your variance divide, for two features: 1 or 2?", WHICH_VARIANCE,
    ),
    Mistake(
        "epsilon outside the root", "layer_norm", _rows(_eps_outside),
        "Is epsilon added to a variance or to a standard deviation?", EPSILON,
    ),
    Mistake(
        "mean not subtracted", "layer_norm",
        _rows(lambda x, eps: x * torch.rsqrt(x.square().mean(1, keepdim=True) + eps)),
        "What you wrote has a name of its own. Compute the mean of a row of its output.", FUNCTION,
    ),
    Mistake(
        "weight and bias forgotten", "layer_norm",
        lambda x, weight, bias, eps: normalized(x, eps, (1,)),
        "Call your function with two different weights. Does the output change?", UNDO,
    ),
    Mistake(
        "detached statistics", "layer_norm", _rows(_detached),
        "The values are right and the gradient is not. Does each x also act through the mean and "
        "the variance?", "04_backward.ipynb#Four wrong versions",
    ),
]  # fmt: skip


def _grouped(
    split: Callable, axes: tuple[int, ...] = (2, 3, 4), unbiased: bool = False
) -> Callable:
    """Group normalization with another way to split the channels, or other axes."""

    def group_norm(x, num_groups, weight, bias, eps):
        parts = split(x, num_groups)  # (N, G, C / G, H, W)
        x_hat = _join(normalized(parts, eps, axes, unbiased), split)
        return weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1)

    return group_norm


def _blocks(x, groups):
    return x.unflatten(1, (groups, -1))


def _interleaved(x, groups):
    return x.unflatten(1, (-1, groups)).transpose(1, 2)


def _sizes(x, groups):
    return x.unflatten(1, (-1, groups))


def _join(parts: Tensor, split: Callable) -> Tensor:
    return (parts.transpose(1, 2) if split is _interleaved else parts).flatten(1, 2)


def _not_reshaped(x, num_groups, weight, bias, eps):
    return weight * _join(normalized(_blocks(x, num_groups), eps, (2, 3, 4)), _blocks) + bias


def _no_affine(x, num_groups, weight, bias, eps):
    return _join(normalized(_blocks(x, num_groups), eps, (2, 3, 4)), _blocks)


GROUP_NORM = [
    Mistake(
        "every channel on its own", "group_norm", _grouped(_blocks, (3, 4)),
        "With 4 channels in 2 groups, how many channels share a mean?", AXES,
    ),
    Mistake(
        "all channels together", "group_norm", _grouped(lambda x, groups: _blocks(x, 1)),
        "Set num_groups to 1 and to C. Does your function change?", AXES,
    ),
    Mistake(
        "normalized over the batch too", "group_norm", _grouped(_blocks, (0, 2, 3, 4)),
        "Change one image. Do the outputs of the others move?", AXES,
    ),
    Mistake(
        "statistics for every pixel", "group_norm", _grouped(_blocks, (2,)),
        "Which of the axes of (N, G, C / G, H, W) share a mean?", AXES,
    ),
    Mistake(
        "groups interleaved", "group_norm", _grouped(_interleaved),
        "Channels 0 and 1 of four, in two groups: one group, or two? Print the indices that your "
        "reshape puts together.", FUNCTION,
    ),
    Mistake(
        "size of a group taken for their number", "group_norm", _grouped(_sizes),
        "With 6 channels and num_groups=2, how many channels does a group have?", FUNCTION,
    ),
    Mistake(
        "weight not reshaped", "group_norm", _not_reshaped,
        "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is that?",
        "05_manual_implementation.ipynb#Images: choose the axes",
    ),
    Mistake(
        "weight and bias forgotten", "group_norm", _no_affine,
        "Call your function with two different weights. Does the output change?", UNDO,
    ),
    Mistake(
        "unbiased variance in the forward pass", "group_norm",
        _grouped(_blocks, unbiased=True),
        "By which number does your variance divide, for a group of 4 numbers: 3 or 4?",
        WHICH_VARIANCE,
    ),
]  # fmt: skip


def family(x: Tensor, groups: int, over_batch: bool) -> Tensor:
    """Batch, layer, instance and group normalization in one."""
    axes = (0, 2, 3) if over_batch else (2, 3)
    return normalized(x.unflatten(1, (groups, -1)), 1e-5, axes).flatten(1, 2)


FAMILY = [
    Mistake(
        "batch never averaged", "family", lambda x, groups, over_batch: family(x, groups, False),
        "Does the third argument change your result?", AXES,
    ),
    Mistake(
        "batch always averaged", "family", lambda x, groups, over_batch: family(x, groups, True),
        "Does the third argument change your result?", AXES,
    ),
    Mistake(
        "over_batch the wrong way round", "family",
        lambda x, groups, over_batch: family(x, groups, not over_batch),
        "For which value of over_batch is one example enough?", AXES,
    ),
    Mistake(
        "groups ignored", "family", lambda x, groups, over_batch: family(x, 1, over_batch),
        "With as many groups as channels, how many channels share a mean?", AXES,
    ),
    Mistake(
        "groups interleaved", "family",
        lambda x, groups, over_batch: family(
            x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(1, 2), groups, over_batch
        ).unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2),
        "Channels 0 and 1 of four, in two groups: one group, or two?", FUNCTION,
    ),
    Mistake(
        "positions not averaged", "family",
        lambda x, groups, over_batch: normalized(
            x.unflatten(1, (groups, -1)), 1e-5, (0, 2) if over_batch else (2,)
        ).flatten(1, 2),
        "Layer normalization has two readings. Which of them shares a mean among positions?",
        TRAP,
    ),
]  # fmt: skip
