"""Exercises on the layer as a module: what it computes and what it keeps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit import layers
from bnkit.checks.averaging_mistakes import AVERAGING
from bnkit.checks.exercise import Exercise, examine
from bnkit.checks.forward import first_wrong_step
from bnkit.checks.image_layer_mistakes import LAYER_2D
from bnkit.checks.layer_mistakes import LAYER
from bnkit.checks.layer_probes import averaging_probes, layer_probes
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_averaging_layer", "check_layer", "check_layer_2d"]

SECTION = "05_manual_implementation.ipynb#The layer in three steps"


def _locate(cls: Callable) -> str | None:
    """The step of the training output that is wrong; None where it is right."""
    x = torch.tensor([[1.0, 0.5, -2.0], [2.0, 0.9, 5.0], [6.0, 0.1, 1.0], [4.0, 0.2, 0.0]])

    def normalize(eps: float) -> Tensor:
        layer = cls(3, eps=eps)
        with torch.no_grad():
            layer.weight.fill_(1)
            layer.bias.fill_(0)
        return layer.train()(x.clone())

    step = first_wrong_step(normalize, x)
    return None if step == "output" else step


_LAYER = Exercise("layer", layers.BatchNorm1d, layer_probes(()), LAYER, SECTION, _locate)


def check_layer(cls: type[nn.Module], *, limit: float = LIMIT) -> CheckResult:
    """Check a batch normalization layer for vectors.

    Its outputs in both modes, its gradients, the running statistics, the keys of its state_dict,
    a copy after a training step, and what its mode follows are compared with PyTorch's layer. The
    names of parameters and buffers are PyTorch's, so that weights load both ways.

    Args:
        cls: ``cls(num_features, eps=…, momentum=…)`` makes a Module for inputs of shape (N, C); one
            that takes `num_features` alone can be right in everything but those two.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> from torch import nn
        >>> check_layer(nn.BatchNorm1d).passed
        True
        >>> class Attributes(nn.BatchNorm1d):
        ...     def __init__(self, num_features, eps=1e-5, momentum=0.1):
        ...         super().__init__(num_features, eps, momentum)
        ...         for name in ["running_mean", "running_var"]:
        ...             setattr(self, name, self._buffers.pop(name))
        >>> check_layer(Attributes).mistake
        'running statistics as plain attributes'

    Source: chapter 5; ``torch.nn.BatchNorm1d``.
    """
    return examine(_LAYER, cls, limit)


_LAYER_2D = Exercise(
    "layer_2d",
    layers.BatchNorm2d,
    layer_probes((2, 2)),
    LAYER_2D,
    "05_manual_implementation.ipynb#Images: choose the axes",
)


def check_layer_2d(cls: type[nn.Module], *, limit: float = LIMIT) -> CheckResult:
    """Check a batch normalization layer for images.

    Args:
        cls: ``cls(num_features, eps=…, momentum=…)`` makes a Module for inputs of shape
            (N, C, H, W).
        limit: Seconds that it may take.

    Returns:
        What was found, as in :func:`check_layer`.

    Example:
        >>> from torch import nn
        >>> check_layer_2d(nn.BatchNorm2d).passed
        True

    Source: chapter 5, exercise 2; ``torch.nn.BatchNorm2d``.
    """
    return examine(_LAYER_2D, cls, limit)


class _Averaging(layers.BatchNorm1d):
    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, momentum=None)


_AVERAGING = Exercise(
    "averaging_layer",
    _Averaging,
    averaging_probes(),
    AVERAGING,
    "03_two_modes.ipynb#`momentum=None`: a plain average",
)


def check_averaging_layer(cls: type[nn.Module], *, limit: float = LIMIT) -> CheckResult:
    """Check a layer whose running statistics are a plain average over all batches.

    Args:
        cls: ``cls(num_features)`` makes a Module for inputs of shape (N, C) that does what
            ``nn.BatchNorm1d(num_features, momentum=None)`` does, also after loading.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> from torch import nn
        >>> check_averaging_layer(nn.BatchNorm1d).mistake
        'momentum fixed'

    Source: chapter 5, exercise 1.
    """
    return examine(_AVERAGING, cls, limit)


EXERCISES = [_LAYER, _LAYER_2D, _AVERAGING]
