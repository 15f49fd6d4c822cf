"""Exercises on the relatives of batch normalization."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bnkit import relatives as F
from bnkit.checks.exercise import Exercise, examine
from bnkit.checks.forward import first_wrong_step
from bnkit.book.observe import Probe, calls
from bnkit.checks.relatives_mistakes import FAMILY, GROUP_NORM, LAYER_NORM, family
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_family", "check_group_norm", "check_layer_norm"]

SECTION = "13_alternatives.ipynb#The equation, and the function"


def _numbers(shape: Sequence[int]) -> Tensor:
    return (torch.arange(float(torch.Size(shape).numel())) ** 2 % 11).view(*shape)


def _affine(channels: int) -> dict[str, Tensor]:
    return {"weight": torch.arange(channels) + 1.0, "bias": 2.0 - torch.arange(channels)}


def _rows(shape: tuple[int, int], eps: float) -> Probe:
    return calls({"x": _numbers(shape), **_affine(shape[1]), "eps": eps}, gradients=("x",))


def _locate(answer: Callable) -> str:
    x = _numbers((3, 4))

    def normalize(eps: float) -> Tensor:
        return torch.as_tensor(answer(x.clone(), torch.ones(4), torch.zeros(4), eps)).T

    return first_wrong_step(normalize, x.T)


_LAYER_NORM = Exercise(
    "layer_norm",
    lambda x, weight, bias, eps: F.layer_norm(x, x.shape[1:], weight, bias, eps),
    [_rows((1, 2), 1e-5), _rows((2, 2), 0.5), _rows((3, 4), 1e-3)],
    LAYER_NORM,
    SECTION,
    _locate,
)


def check_layer_norm(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check layer normalization of vectors.

    Args:
        fn: ``fn(x, weight, bias, eps) -> y`` with x and y of shape (N, C), weight and bias (C,).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_layer_norm(lambda x, weight, bias, eps: torch.nn.functional.layer_norm(
        ...     x, x.shape[1:], weight, bias, eps)).passed
        True

    Source: chapter 13; Ba et al. (2016), https://arxiv.org/abs/1607.06450.
    """
    return examine(_LAYER_NORM, fn, limit)


def _images(shape: tuple[int, ...], groups: int, eps: float) -> Probe:
    inputs = {"x": _numbers(shape), "num_groups": groups, **_affine(shape[1]), "eps": eps}
    return calls(inputs, gradients=("x",))


_GROUP_NORM = Exercise(
    "group_norm",
    F.group_norm,
    [
        _images((1, 4, 1, 2), 2, 1e-5),
        _images((2, 4, 1, 4), 2, 0.5),
        _images((2, 6, 2, 2), 2, 1e-3),
        _images((2, 6, 2, 2), 3, 1e-3),
    ],
    GROUP_NORM,
    SECTION,
)


def check_group_norm(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check group normalization of images.

    Args:
        fn: ``fn(x, num_groups, weight, bias, eps) -> y`` with x and y of shape (N, C, H, W), weight
            and bias (C,), and C divisible by `num_groups`.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_group_norm(torch.nn.functional.group_norm).passed
        True

    Source: chapter 13; Wu and He (2018), https://arxiv.org/abs/1803.08494.
    """
    return examine(_GROUP_NORM, fn, limit)


_FAMILY = Exercise(
    "family",
    family,
    [
        calls({"x": _numbers((2, 4, 3)), "groups": groups, "over_batch": over_batch})
        for groups in (2, 1, 4)
        for over_batch in (False, True)
    ],
    FAMILY,
    SECTION,
)


def check_family(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the function that is batch, layer, instance and group normalization in one.

    Args:
        fn: ``fn(x, groups, over_batch) -> x_hat`` with x and x_hat of shape (N, C, L), a number of
            channel groups, and whether the batch is averaged too; epsilon is 1e-5.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def family(x, groups, over_batch):
        ...     split = x.unflatten(1, (groups, -1))
        ...     axes = (0, 2, 3) if over_batch else (2, 3)
        ...     centered = split - split.mean(axes, keepdim=True)
        ...     var = centered.square().mean(axes, keepdim=True)
        ...     return (centered / torch.sqrt(var + 1e-5)).flatten(1, 2)
        >>> check_family(family).passed
        True

    Source: chapter 13, exercise 2.
    """
    return examine(_FAMILY, fn, limit)


EXERCISES = [_LAYER_NORM, _GROUP_NORM, _FAMILY]
