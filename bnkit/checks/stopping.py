"""Exercise on early stopping: when it stops, and which weights it gives back."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from bnkit.checks.exercise import Exercise, examine
from bnkit.book.observe import Facets, Probe
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.stopping_mistakes import STOPPING
from bnkit.training import EarlyStopping

__all__ = ["EXERCISES", "check_early_stopping"]


def _model(number: float) -> nn.Module:
    """A model whose weights and buffers are all one number."""
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    _fill(model, number)
    return model


def _fill(model: nn.Module, number: float) -> None:
    with torch.no_grad():
        for tensor in (model[0].weight, model[1].running_mean):
            tensor.fill_(number)


def _replay(cls: Callable, losses: list[float], patience: int, delta: float) -> Facets:
    """Weights are the number of the epoch, and 99 by the time that they are restored."""
    stopper, model, stop = cls(patience, delta), _model(0), "never"
    for epoch, loss in enumerate(losses, start=1):
        _fill(model, epoch)
        stopper(loss, model)
        if stopper.early_stop:
            stop = f"after epoch {epoch}"
            break
    _fill(model, 99)
    other = _model(0)
    if hasattr(stopper, "restore"):
        stopper.restore(other)
    else:
        other.load_state_dict(stopper.best_model_state)
    return {"stop": stop} | _epochs(other)


def _epochs(model: nn.Module) -> Facets:
    words = {0: "the new model's own", 99: "those of after the end"}
    weight, mean = int(model[0].weight), int(model[1].running_mean)
    return {
        "restored weights": words.get(weight, f"those of epoch {weight}"),
        "restored running_mean": words.get(mean, f"that of epoch {mean}"),
    }


def _probe(losses: list[float], patience: int, delta: float = 0.0, essential: bool = True) -> Probe:
    inputs = {"losses": losses, "patience": patience, "delta": delta}
    return Probe(inputs, lambda cls: _replay(cls, losses, patience, delta), essential)


_STOPPING = Exercise(
    "early_stopping",
    EarlyStopping,
    [
        _probe([0.5, 0.75], 1),
        _probe([0.5, 0.75, 0.625], 2),
        _probe([0.5, 0.3125, 0.28125], 2, delta=0.25),
        _probe([1.0, 0.875, 0.625, 0.5, 0.5, 0.5], 2, delta=0.25),
        _probe([1.0, 0.5, 0.75, 0.25, 0.5, 0.375, 0.5], 3),
        _probe([0.5, 0.5, 0.5], 2, essential=False),
        _probe([0.5, math.nan, 0.75], 2, essential=False),
    ],
    STOPPING,
    "06_mnist_early_stopping.ipynb#When to stop: the rule on seven numbers",
)


def check_early_stopping(cls: type, *, limit: float = LIMIT) -> CheckResult:
    """Check a class that ends a training and keeps the best weights.

    Args:
        cls: ``cls(patience, delta)`` makes a callable that takes ``(val_loss, model)`` after each
            epoch. Its ``early_stop`` says whether to stop, and ``restore(model)`` loads the best
            weights (without it, they are taken from ``best_model_state``). All else may have any
            name.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> class Careless(EarlyStopping):
        ...     def __call__(self, val_loss, model):
        ...         super().__call__(val_loss, model)
        ...         if self.counter == 0:
        ...             self.best_model_state = model.state_dict()
        >>> check_early_stopping(Careless).mistake
        'state_dict not copied'

    Source: chapter 6; Prechelt (1998), *Early stopping, but when?*
    """
    return examine(_STOPPING, cls, limit)


EXERCISES = [_STOPPING]
