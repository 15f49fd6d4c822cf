"""Exercises on the backward pass, for (N, C) and for images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnkit import functional as F
from bnkit.checks.backward_mistakes import BACKWARD, BACKWARD_2D, LAYER_NORM_BACKWARD
from bnkit.checks.exercise import Exercise, examine
from bnkit.book.observe import Probe, as_seen, calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_backward", "check_backward_2d", "check_layer_norm_backward"]

SECTION = "04_backward.ipynb#The equation: three terms"
OUTPUTS = ("grad_input", "grad_weight", "grad_bias")


def _right(grad_output: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, ...]:
    return F.batch_norm_backward(grad_output, x, weight, eps)


def _probe(grad_output: Tensor, x: Tensor, weight: list, eps: float) -> Probe:
    inputs = {"grad_output": grad_output, "x": x, "weight": torch.tensor(weight), "eps": eps}
    return calls(inputs, OUTPUTS)


_G = torch.tensor([[1.0, 0.5], [0.0, 2.0], [0.0, -1.0]])
_X = torch.tensor([[1.0, 0.4], [2.0, 0.1], [3.0, 0.9]])
_PROBES = [
    _probe(_G[:, :1], _X[:, :1], [1.0], 1e-5),
    _probe(_G, _X, [2.0, -0.5], 0.5),
    _probe(_G[:2], _X[:2], [3.0, 1.0], 0.1),
]


def _locate(answer: Callable) -> str | None:
    """The first part that is wrong, on inputs that let one path through at a time."""
    x = torch.tensor([[-1.0], [-1.0], [2.0], [0.0]])  # mean 0, variance 1.5
    x_hat = x / 1.5**0.5
    straight = torch.tensor([[1.0], [-1.0], [0.0], [0.0]])  # mean 0 and perpendicular to x
    parts = {
        "grad_bias": (straight + 1, 2),
        "grad_weight": (straight + x_hat, 1),
        "the factor weight / sqrt(variance + eps) of grad_input": (straight, 0),
        "the path through the mean": (torch.ones(4, 1), 0),
        "the path through the variance": (x_hat, 0),
    }
    for name, (grad_output, number) in parts.items():
        inputs = grad_output, x, torch.tensor([2.0]), 0.5
        right = as_seen(_right(*inputs)[number])
        found = as_seen(answer(*(torch.as_tensor(value).clone() for value in inputs))[number])
        if right.shape != found.shape or not torch.allclose(right, found, rtol=1e-3, atol=1e-4):
            return name
    return None


_BACKWARD = Exercise("backward", _right, _PROBES, BACKWARD, SECTION, _locate)


def check_backward(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the gradients of batch normalization in training, for vectors.

    Args:
        fn: ``fn(grad_output, x, weight, eps) -> grad_input, grad_weight, grad_bias`` with
            grad_output, x and grad_input of shape (N, C), the others (C,).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def backward(grad_output, x, weight, eps):
        ...     rstd = 1 / torch.sqrt(x.var(0, unbiased=False) + eps)
        ...     x_hat = (x - x.mean(0)) * rstd
        ...     return weight * rstd * grad_output, (grad_output * x_hat).sum(0), grad_output.sum(0)
        >>> check_backward(backward).mistake
        'statistics taken for constants'

    Source: chapter 4; Ioffe and Szegedy (2015), section 3.
    """
    return examine(_BACKWARD, fn, limit)


def _images(shape: tuple[int, ...], eps: float) -> Probe:
    count = torch.arange(float(torch.Size(shape).numel()))
    grad_output, x = (count**2 % 7 - 2).view(shape), (count**2 % 11).view(shape)
    return _probe(grad_output, x, [1.0, 2.0, -1.0][: shape[1]], eps)


_IMAGES = [_images((2, 2, 1, 2), 1e-5), _images((2, 3, 2, 2), 0.5), _images((3, 2, 2, 4), 0.1)]
_BACKWARD_2D = Exercise("backward_2d", _right, _IMAGES, BACKWARD_2D, SECTION)


def check_backward_2d(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the gradients of batch normalization in training, for images.

    Args:
        fn: ``fn(grad_output, x, weight, eps) -> grad_input, grad_weight, grad_bias`` with
            grad_output, x and grad_input of shape (N, C, H, W), the others (C,).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> from bnkit.functional import batch_norm_backward
        >>> check_backward_2d(batch_norm_backward).passed
        True

    Source: chapter 4, exercise 2.
    """
    return examine(_BACKWARD_2D, fn, limit)


def _rows(shape: tuple[int, int], eps: float) -> Probe:
    count = torch.arange(float(shape[0] * shape[1]))
    grad_output, x = (count**2 % 7 - 2).view(shape), (count**2 % 11).view(shape)
    return calls({"grad_output": grad_output, "x": x, "eps": eps}, ("grad_input",))


_LAYER_NORM = Exercise(
    "layer_norm_backward",
    lambda grad_output, x, eps: F.batch_norm_backward(grad_output.T, x.T, eps=eps)[0].T,
    [_rows((1, 3), 1e-5), _rows((3, 3), 0.5), _rows((2, 5), 0.1)],
    LAYER_NORM_BACKWARD,
    "04_backward.ipynb#What is removed, and why these two",
)


def check_layer_norm_backward(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the gradient of layer normalization, without weight and bias.

    Args:
        fn: ``fn(grad_output, x, eps) -> grad_input``, all tensors of shape (N, C).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> from bnkit.functional import batch_norm_backward
        >>> def untransposed(grad_output, x, eps):
        ...     return batch_norm_backward(grad_output, x, eps=eps)[0]
        >>> check_layer_norm_backward(untransposed).mistake
        'gradient of batch normalization'

    Source: chapter 4, exercise 3.
    """
    return examine(_LAYER_NORM, fn, limit)


EXERCISES = [_BACKWARD, _BACKWARD_2D, _LAYER_NORM]
