"""Exercises on running statistics and on the two modes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit.checks.exercise import Exercise, examine
from bnkit.book.observe import Facets, Probe, calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.running_mistakes import CORRECTED_MEAN, FREEZE, RUNNING, TO_PYTORCH

__all__ = [
    "EXERCISES",
    "check_corrected_mean",
    "check_freeze",
    "check_running_statistics",
    "check_to_pytorch",
]

SECTION = "03_two_modes.ipynb#The equation"


def _update(running_mean: Tensor, running_var: Tensor, x: Tensor, momentum: float) -> tuple:
    return running_mean.lerp(x.mean(0), momentum), running_var.lerp(x.var(0), momentum)


def _probe(mean: list, var: list, x: list, momentum: float) -> Probe:
    inputs = {
        "running_mean": torch.tensor(mean),
        "running_var": torch.tensor(var),
        "x": torch.tensor(x),
        "momentum": momentum,
    }
    return calls(inputs, ("running_mean", "running_var"))


_RUNNING = Exercise(
    "running_statistics",
    _update,
    [
        _probe([0.0], [1.0], [[3.0], [7.0]], 0.1),
        _probe([1.0, -2.0], [4.0, 0.5], [[1.0, 5.0], [2.0, 0.0], [6.0, 1.0]], 0.3),
        _probe([1.0, 3.0], [2.0, 0.5], [[1.0, 5.0], [2.0, -4.0]], 0.25),
    ],
    RUNNING,
    SECTION,
)


def check_running_statistics(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the update of the running statistics by one batch.

    Args:
        fn: ``fn(running_mean, running_var, x, momentum) -> running_mean, running_var`` with x of
            shape (N, C), the others (C,); `momentum` weights the new value. In place or not.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def update(running_mean, running_var, x, momentum):
        ...     running_mean = momentum * running_mean + (1 - momentum) * x.mean(0)
        ...     running_var = momentum * running_var + (1 - momentum) * x.var(0)
        ...     return running_mean, running_var
        >>> check_running_statistics(update).mistake
        'momentum on the wrong side'

    Source: chapter 3; ``torch.nn.BatchNorm1d``.
    """
    return examine(_RUNNING, fn, limit)


_TO_PYTORCH = Exercise(
    "to_pytorch",
    lambda keras_momentum: 1 - keras_momentum,
    [calls({"keras_momentum": value}, ("momentum",)) for value in (0.75, 0.99, 0.5)],
    TO_PYTORCH,
    SECTION,
)


def check_to_pytorch(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the conversion of a momentum from Keras to PyTorch.

    Args:
        fn: ``fn(keras_momentum) -> momentum``, both numbers.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_to_pytorch(lambda keras_momentum: keras_momentum).mistake
        'momentum left as it is'

    Source: chapter 3, exercise 2.
    """
    return examine(_TO_PYTORCH, fn, limit)


def _corrected(batch_means: Tensor, momentum: float) -> Tensor:
    running, rows = torch.zeros_like(batch_means[0]), []
    for t, mean in enumerate(batch_means, start=1):
        running = running.lerp(mean, momentum)
        rows.append(running / (1 - (1 - momentum) ** t))
    return torch.stack(rows)


_MEANS = torch.tensor([[2.0, 1.0], [4.0, -1.0], [3.0, 5.0]])
_CORRECTED_MEAN = Exercise(
    "corrected_mean",
    _corrected,
    [
        calls({"batch_means": _MEANS[:1, :1], "momentum": 0.1}),
        calls({"batch_means": _MEANS, "momentum": 0.3}),
    ],
    CORRECTED_MEAN,
    "03_two_modes.ipynb#A running mean by hand",
)


def check_corrected_mean(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a running mean that starts at 0 and is corrected for that start, as in Adam.

    Args:
        fn: ``fn(batch_means, momentum) -> corrected``, both tensors of shape (T, C): the corrected
            running mean after each of the T batches.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def constant(batch_means, momentum):
        ...     return batch_means.cumsum(0)
        >>> check_corrected_mean(constant).status
        'unknown'

    Source: chapter 3, exercise 3; Kingma and Ba (2015), section 3.
    """
    return examine(_CORRECTED_MEAN, fn, limit)


def _freeze(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _moved(norm: nn.Module) -> str:
    """Whether statistics left their start; the mean alone may not, where dropout leaves zeros."""
    moved = norm.running_mean.any() or (norm.running_var != 1).any()
    return "move" if moved else "stay"


def _moves_after(freeze: Callable) -> Facets:
    """Which statistics move in a training step of a frozen model, and what else was switched."""
    images = nn.Sequential(nn.Unflatten(1, (2, 1, 1)), nn.BatchNorm2d(2))
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), images).train()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    freeze(model)
    model(torch.tensor([[1.0, 5.0], [3.0, 7.0]]))
    return {
        "outer statistics": _moved(model[1]),
        "inner statistics": _moved(images[1]),
        "dropout": "on" if model[2].training else "off",
    }


_FREEZE = Exercise(
    "freeze",
    _freeze,
    [Probe({"model": "Linear → BatchNorm1d → Dropout → (BatchNorm2d)"}, _moves_after)],
    FREEZE,
    "03_two_modes.ipynb#What the layer computes in eval mode",
)


def check_freeze(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a function that freezes the batch normalization of a model in training mode.

    Args:
        fn: ``fn(model)`` changes the model in place so that no running statistics move, and leaves
            every other layer in training mode.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_freeze(lambda model: model.requires_grad_(False)).mistake
        'requires_grad taken for frozen'

    Source: chapter 3, exercise 4.
    """
    return examine(_FREEZE, fn, limit)


EXERCISES = [_RUNNING, _TO_PYTORCH, _CORRECTED_MEAN, _FREEZE]
