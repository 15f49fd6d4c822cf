"""Exercises on the forward pass in training, for (N, C) and for images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnkit import functional as F
from bnkit.checks.exercise import Exercise, examine
from bnkit.checks.forward_mistakes import FORWARD
from bnkit.checks.image_mistakes import FORWARD_2D
from bnkit.book.observe import Probe, calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_forward", "check_forward_2d", "first_wrong_step"]

SECTION = "02_equations.ipynb#The equations"


def _right(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def _probe(rows: list, weight: list, bias: list, eps: float, gradients: bool = False) -> Probe:
    inputs = {
        "x": torch.tensor(rows),
        "weight": torch.tensor(weight),
        "bias": torch.tensor(bias),
        "eps": eps,
    }
    return calls(inputs, gradients=("x",) if gradients else ())


_PROBES = [
    _probe([[1.0, 10.0], [3.0, 50.0]], [1.0, 1.0], [0.0, 0.0], 1e-5),
    _probe([[1.0, 0.5], [2.0, 0.9], [6.0, 0.1]], [2.0, 0.5], [1.0, -3.0], 0.5, gradients=True),
    _probe([[2.0, 0.0], [2.0, 0.002]], [1.0, 2.0], [0.5, 1.0], 1e-5),
    _probe([[10001.0], [10003.0]], [1.0], [0.0], 1e-5),
    _probe(
        [[0.3, -2.0, 1.0], [1.0, 0.4, 2.0], [0.2, 0.7, 9.0]], [1.0, 2.0, 3.0], [3.0, 0.0, 1.0], 1e-3
    ),
]


def _locate(answer: Callable) -> str | None:
    x = torch.tensor([[1.0, 0.5, -2.0], [2.0, 0.9, 5.0], [6.0, 0.1, 1.0], [4.0, 0.2, 0.0]])
    ones, zeros = torch.ones(3), torch.zeros(3)
    return first_wrong_step(lambda eps: answer(x.clone(), ones.clone(), zeros.clone(), eps), x)


def first_wrong_step(normalize: Callable[[float], Tensor], x: Tensor) -> str:
    """The first of mean, variance, x_hat and output that is wrong.

    With weight 1 and bias 0 the output is a straight line over each column of x: it crosses zero
    at the mean and its slope tells the variance.

    Args:
        normalize: Normalizes `x` with a given epsilon, weight 1 and bias 0.
        x: Shape (N, C), N above 2.

    Returns:
        The step; ``"output"`` where the others are right.
    """
    y = torch.as_tensor(normalize(1e-12)).detach().to(torch.float64)
    x = x.to(torch.float64)
    if y.shape != x.shape:
        return "the shape of the output"
    mean, var = x.mean(0), x.var(0, unbiased=False)
    slope = ((x - mean) * (y - y.mean(0))).sum(0) / (x - mean).square().sum(0)
    straight = torch.allclose(y - y.mean(0), slope * (x - mean), atol=1e-3)
    if not torch.allclose(y.mean(0), torch.zeros_like(mean), atol=1e-3):
        return "mean"
    if not straight:
        return "x_hat"
    if not torch.allclose(slope, var.rsqrt(), rtol=1e-3):
        return "variance"
    wide = torch.as_tensor(normalize(0.5)).detach().to(torch.float64)
    right = (x - mean) * (var + 0.5).rsqrt()
    return "output" if torch.allclose(wide, right, atol=1e-3) else "x_hat"


_FORWARD = Exercise("forward", _right, _PROBES, FORWARD, SECTION, _locate)


def check_forward(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the forward pass of batch normalization in training, for vectors.

    Args:
        fn: ``fn(x, weight, bias, eps) -> y`` with x and y of shape (N, C), weight and bias (C,).
        limit: Seconds that it may take.

    Returns:
        What was found. Gradients are looked at too, where the answer carries any.

    Example:
        >>> def normalize(x, weight, bias, eps):
        ...     x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0) + eps)
        ...     return weight * x_hat + bias
        >>> check_forward(normalize).mistake
        'unbiased variance in the forward pass'

    Source: chapter 2; Ioffe and Szegedy (2015), algorithm 1.
    """
    return examine(_FORWARD, fn, limit)


def _image_probe(
    shape: tuple[int, ...], eps: float, gradients: bool = False, offset: float = 0.0
) -> Probe:
    count, channels = torch.Size(shape).numel(), shape[1]
    inputs = {
        "x": (torch.arange(count) ** 2 % 11 + offset).float().view(shape),
        "weight": torch.arange(channels) + 1.0,
        "bias": 2.0 - torch.arange(channels),
        "eps": eps,
    }
    return calls(inputs, gradients=("x",) if gradients else ())


_IMAGE_PROBES = [
    _image_probe((2, 2, 1, 2), 1e-5, gradients=True),
    _image_probe((2, 3, 2, 2), 0.5),
    _image_probe((3, 2, 2, 4), 1e-3),
    _image_probe((2, 2, 2, 2), 1e-5),
    _image_probe((2, 1, 1, 2), 1e-5, offset=10000.0),
]


def _locate_2d(answer: Callable) -> str:
    x = (torch.arange(48) ** 2 % 13).float().view(3, 2, 2, 4)
    rows = x.movedim(1, -1).reshape(-1, 2)  # (N * H * W, C)

    def normalize(eps: float) -> Tensor:
        y = torch.as_tensor(answer(x.clone(), torch.ones(2), torch.zeros(2), eps))
        return y.movedim(1, -1).reshape(-1, 2) if y.dim() == 4 else y

    return first_wrong_step(normalize, rows)


_FORWARD_2D = Exercise(
    "forward_2d", _right, _IMAGE_PROBES, FORWARD_2D, "02_equations.ipynb#Which axes?", _locate_2d
)


def check_forward_2d(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the forward pass of batch normalization in training, for images.

    Args:
        fn: ``fn(x, weight, bias, eps) -> y`` with x and y of shape (N, C, H, W), weight and bias
            (C,).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def normalize(x, weight, bias, eps):
        ...     x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps)
        ...     return weight.view(-1, 1, 1) * x_hat + bias.view(-1, 1, 1)
        >>> check_forward_2d(normalize).mistake
        'statistics for every pixel'

    Source: chapters 2 and 5; Ioffe and Szegedy (2015), section 3.2.
    """
    return examine(_FORWARD_2D, fn, limit)


EXERCISES = [_FORWARD, _FORWARD_2D]
