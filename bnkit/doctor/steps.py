"""How far an optimizer's next step would carry a weight, without taking it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["groups_of", "is_adam", "update_ratio"]

_ADAM = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")
_SGD = ("SGD",)


def is_adam(optimizer: Optimizer | None) -> bool:
    """Whether steps are of one size whatever the gradient's."""
    return type(optimizer).__name__ in _ADAM


def groups_of(optimizer: Optimizer | None, parameter: nn.Parameter) -> Iterator[dict]:
    """The group of an optimizer that holds a parameter, if any."""
    for group in optimizer.param_groups if optimizer is not None else ():
        if any(each is parameter for each in group["params"]):
            yield group


def update_ratio(
    optimizer: Optimizer, parameter: nn.Parameter, grad: Tensor | None
) -> float | None:
    """Length of the next step over the weight's own, ``|update| / |w|``, for SGD and Adam's kin."""
    group = next(groups_of(optimizer, parameter), None)
    length = float(parameter.detach().norm())
    if group is None or grad is None or not math.isfinite(length) or length == 0:
        return None
    update = _update(optimizer, group, parameter, grad)
    return None if update is None else float(update.norm()) / length


def _update(
    optimizer: Optimizer, group: dict, parameter: nn.Parameter, grad: Tensor
) -> Tensor | None:
    rate, kind = float(group["lr"]), type(optimizer).__name__
    if kind in _SGD:
        return rate * grad  # momentum would carry it further, in directions not known yet
    if kind in _ADAM:
        return rate * _adam_direction(optimizer.state.get(parameter, {}), group, grad)
    return None


def _adam_direction(state: dict, group: dict, grad: Tensor) -> Tensor:
    """M / sqrt(v), or its first value: the sign of the gradient."""
    steps = float(state.get("step", 0))
    if steps < 1 or "exp_avg_sq" not in state:
        return grad.sign()
    first, second = group["betas"]
    mean = state["exp_avg"] / (1 - first**steps)
    square = state["exp_avg_sq"] / (1 - second**steps)
    return mean / (square.sqrt() + group["eps"])
