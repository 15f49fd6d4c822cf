"""Known mistakes in the forward pass for images, as data."""

from __future__ import annotations

import torch

from bnkit.checks.exercise import Mistake
from bnkit.checks.forward_mistakes import (
    AXES,
    EPSILON,
    TWO_FORMULAS,
    UNDO,
    WHICH_VARIANCE,
    WRONG_GRADIENTS,
    normalized,
)

__all__ = ["FORWARD_2D"]


def _affine(x_hat, weight, bias):
    return weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1)


def _over(axes, unbiased=False):
    return lambda x, weight, bias, eps: _affine(normalized(x, eps, axes, unbiased), weight, bias)


def _not_reshaped(x, weight, bias, eps):
    return weight * normalized(x, eps, (0, 2, 3)) + bias


def _divided_by_batch(x, weight, bias, eps):
    mean = x.sum((0, 2, 3), keepdim=True) / len(x)
    var = (x - mean).square().sum((0, 2, 3), keepdim=True) / len(x)
    return _affine((x - mean) / torch.sqrt(var + eps), weight, bias)


def _variance_by_batch(x, weight, bias, eps):
    centred = x - x.mean((0, 2, 3), keepdim=True)
    var = centred.square().sum((0, 2, 3), keepdim=True) / len(x)
    return _affine(centred / torch.sqrt(var + eps), weight, bias)


def _eps_outside_2d(x, weight, bias, eps):
    centred = x - x.mean((0, 2, 3), keepdim=True)
    std = torch.sqrt(centred.square().mean((0, 2, 3), keepdim=True))
    return _affine(centred / (std + eps), weight, bias)


def _no_eps_2d(x, weight, bias, eps):
    return _affine(normalized(x, 0.0, (0, 2, 3)), weight, bias)


def _one_pass_2d(x, weight, bias, eps):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = (x * x).mean((0, 2, 3), keepdim=True) - mean * mean
    return _affine((x - mean) / torch.sqrt(var + eps), weight, bias)


def _no_bias_2d(x, weight, bias, eps):
    return weight.view(1, -1, 1, 1) * normalized(x, eps, (0, 2, 3))


def _no_weight_2d(x, weight, bias, eps):
    return normalized(x, eps, (0, 2, 3)) + bias.view(1, -1, 1, 1)


def _detached_2d(x, weight, bias, eps):
    mean = x.detach().mean((0, 2, 3), keepdim=True)
    var = x.detach().var((0, 2, 3), unbiased=False, keepdim=True)
    return _affine((x - mean) / torch.sqrt(var + eps), weight, bias)


def _mean_of_variances(x, weight, bias, eps):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = x.var((2, 3), unbiased=False, keepdim=True).mean(0, keepdim=True)
    return _affine((x - mean) / torch.sqrt(var + eps), weight, bias)


FORWARD_2D = [
    Mistake(
        "statistics for every pixel", "forward_2d", _over((0,)),
        "A filter does the same thing everywhere in the image. How many means does an input of "
        "shape (N, C, H, W) have, then?", AXES,
    ),
    Mistake(
        "statistics for every example", "forward_2d", _over((2, 3)),
        "Change one image of the batch and look at the output of another. Should it move? Which "
        "layer leaves it alone?", AXES,
    ),
    Mistake(
        "statistics over the channels", "forward_2d", _over((1, 2, 3)),
        "The shape (N, C, H, W) names four axes. Which one keeps its own statistics?", AXES,
        (_over((1,)),),
    ),
    Mistake(
        "one mean for all channels", "forward_2d", _over((0, 1, 2, 3)),
        "How many numbers does your mean hold, and how many channels are there?", AXES,
    ),
    Mistake(
        "weight not reshaped", "forward_2d", _not_reshaped,
        "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is that?",
        "05_manual_implementation.ipynb#Images: choose the axes",
    ),
    Mistake(
        "unbiased variance in the forward pass", "forward_2d", _over((0, 2, 3), True),
        "By which number does your variance divide, for 2 images of 1 × 2 pixels: 3 or 4?",
        WHICH_VARIANCE,
    ),
    Mistake(
        "divided by N instead of N·H·W", "forward_2d", _divided_by_batch,
        "How many numbers does one channel hold in a batch of N images of H × W pixels?", AXES,
        (_variance_by_batch,),
    ),
    Mistake(
        "mean of the variances of the images", "forward_2d", _mean_of_variances,
        "Two images, one all black and one all white: each has variance 0. Has the batch?",
        "12_train_test_mismatch.ipynb#Two variances",
    ),
    Mistake(
        "epsilon outside the root", "forward_2d", _eps_outside_2d,
        "Is epsilon added to a variance or to a standard deviation?", EPSILON,
    ),
    Mistake(
        "epsilon missing", "forward_2d", _no_eps_2d,
        "What does your code return for a channel that has the same value in every pixel?", EPSILON,
    ),
    Mistake(
        "variance as E[x²] − E[x]²", "forward_2d", _one_pass_2d,
        "Add 10,000 to every pixel, in float32. The output should not change at all.",
        TWO_FORMULAS,
    ),
    Mistake(
        "gamma and beta forgotten", "forward_2d",
        lambda x, weight, bias, eps: normalized(x, eps, (0, 2, 3)),
        "Which two arguments does your function never use?", UNDO,
    ),
    Mistake(
        "beta forgotten", "forward_2d", _no_bias_2d,
        "Call your function with two different biases. Does the output move?", UNDO,
    ),
    Mistake(
        "gamma forgotten", "forward_2d", _no_weight_2d,
        "Call your function with two different weights. Does the output change?", UNDO,
    ),
    Mistake(
        "detached statistics", "forward_2d", _detached_2d,
        "The values are right and the gradient is not. Does each x also act through the mean and "
        "the variance that it is part of?", WRONG_GRADIENTS,
    ),
]  # fmt: skip
