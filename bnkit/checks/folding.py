"""Exercises on folding batch normalization into a neighbour."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit import functional as F
from bnkit.checks.exercise import Exercise, examine
from bnkit.checks.folding_mistakes import FOLD, FOLD_FORWARD
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.solutions import practice

__all__ = ["EXERCISES", "check_fold", "check_fold_forward"]


def _numbered(module: nn.Module) -> nn.Module:
    """A module whose parameters and buffers are small, different numbers."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.dtype == torch.float32:
                count = torch.arange(float(tensor.numel())).view_as(tensor)
                tensor.copy_(count**2 % 7 / 2 + 0.5)
    return module.eval()


def _pair(kind: str, inputs: int, outputs: int, bias: bool = True) -> tuple[nn.Module, Tensor]:
    """A layer and an input for it."""
    if kind == "Linear":
        layer, size = nn.Linear(inputs, outputs, bias=bias), ()
    else:
        layer, size = nn.Conv2d(inputs, outputs, 2, bias=bias), (2, 3)
    shape = (2, inputs, *size)
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    return _numbered(layer), x**2 % 5


def _bn(kind: str, channels: int) -> nn.Module:
    bn = nn.BatchNorm1d(channels) if kind == "Linear" else nn.BatchNorm2d(channels)
    bn.eps = 0.25
    return _numbered(bn)


def _folds(kind: str, inputs: int, outputs: int, bias: bool = True) -> Probe:
    layer, x = _pair(kind, inputs, outputs, bias)

    def run(fold: Callable) -> Facets:
        return {"output of the folded layer": as_seen(fold(layer_copy(), _bn(kind, outputs))(x))}

    def layer_copy() -> nn.Module:
        return _pair(kind, inputs, outputs, bias)[0]

    shown = {"layer": str(layer), "bn": str(_bn(kind, outputs)), "x": x}
    return Probe(shown, run, essential=bias)


def _keeps_the_layer(fold: Callable) -> Facets:
    layer, x = _pair("Linear", 2, 2)
    fold(layer, _bn("Linear", 2))
    return {"output of the given layer afterwards": as_seen(layer(x))}


_FOLD = Exercise(
    "fold",
    F.fold_batch_norm,
    [
        _folds("Linear", 2, 2),
        _folds("Linear", 3, 2),
        _folds("Conv", 2, 3),
        _folds("Conv", 2, 2),
        _folds("Linear", 2, 2, bias=False),
        Probe({"layer": "Linear(2, 2)"}, _keeps_the_layer, essential=False),
    ],
    FOLD,
    "15_inference.ipynb#The equation, and the function",
)


def check_fold(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the folding of a batch normalization into the layer before it.

    Args:
        fn: ``fn(layer, bn) -> folded`` with a Linear or Conv2d and the BatchNorm after it in
            evaluation mode; `folded` is a new layer that does the work of both.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> from bnkit.functional import fold_batch_norm
        >>> check_fold(fold_batch_norm).passed
        True

    Source: chapter 15; Jacob et al. (2018), section 3.2.
    """
    return examine(_FOLD, fn, limit)


def _folds_forward(channels: int, outputs: int, bias: bool = True) -> Probe:
    layer, x = _pair("Conv", channels, outputs, bias)

    def run(fold: Callable) -> Facets:
        conv = _pair("Conv", channels, outputs, bias)[0]
        return {"output of the folded layer": as_seen(fold(_bn("Conv", channels), conv)(x))}

    shown = {"bn": str(_bn("Conv", channels)), "conv": str(layer), "x": x}
    return Probe(shown, run, essential=bias)


_FOLD_FORWARD = Exercise(
    "fold_forward",
    practice.fold_before,
    [_folds_forward(2, 2), _folds_forward(2, 3), _folds_forward(2, 2, bias=False)],
    FOLD_FORWARD,
    "15_inference.ipynb#When folding is wrong",
)


def check_fold_forward(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the folding of a batch normalization into the convolution after it.

    Args:
        fn: ``fn(bn, conv) -> folded`` with a BatchNorm2d in evaluation mode and a Conv2d without
            padding, with a bias or without; `folded` is a convolution that does the work of both.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_fold_forward(lambda bn, conv: conv).status
        'unknown'

    Source: chapter 15, exercise 4.
    """
    return examine(_FOLD_FORWARD, fn, limit)


EXERCISES = [_FOLD, _FOLD_FORWARD]
