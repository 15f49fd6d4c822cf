"""Exercises on the loop around the layer: a training step, an evaluation, new statistics."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnkit import training
from bnkit.checks.evaluating_mistakes import EVALUATE, REESTIMATE, TRAINING_STEP
from bnkit.checks.exercise import Exercise, examine
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_evaluate", "check_reestimate", "check_training_step"]

_X = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, -1.0], [4.0, 0.0], [-2.0, 5.0]])
_Y = torch.tensor([0, 1, 0, 1, 1])


def _net() -> nn.Sequential:
    """BatchNorm1d, then Linear, with numbers that make every part matter; in training mode."""
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].running_mean.copy_(torch.tensor([1.0, -1.0]))
        net[0].running_var.copy_(torch.tensor([4.0, 0.5]))
        net[1].weight.copy_(torch.tensor([[0.5, -0.25], [-1.0, 0.75]]))
        net[1].bias.copy_(torch.tensor([0.25, -0.5]))
    return net.train()


def _evaluates(sizes: list[int]) -> Probe:
    count = sum(sizes)
    batches = list(zip(_X[:count].split(sizes), _Y[:count].split(sizes), strict=True))

    def run(evaluate: Callable) -> Facets:
        net = _net()
        loss, accuracy = evaluate(net, [(x.clone(), y.clone()) for x, y in batches])
        return {
            "loss": as_seen(loss),
            "accuracy": as_seen(accuracy),
            "running_mean afterwards": as_seen(net[0].running_mean),
        }

    shown = {f"batch {i}": x for i, (x, _) in enumerate(batches, start=1)}
    return Probe(shown | {"targets": _Y[:count]}, run)


_EVALUATE = Exercise(
    "evaluate",
    training.evaluate,
    [_evaluates([2, 1]), _evaluates([2, 2]), _evaluates([3, 2])],
    EVALUATE,
    "06_mnist_early_stopping.ipynb#Training and validation functions",
)


def check_evaluate(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a function that measures loss and accuracy on a validation set.

    Args:
        fn: ``fn(model, loader) -> loss, accuracy``: the mean cross entropy and the share of right
            answers over all samples of the loader's (x, y) batches, of which the last may be short.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> @torch.no_grad()
        ... def by_batches(model, loader):
        ...     model.eval()
        ...     losses = [F.cross_entropy(model(x), y) for x, y in loader]
        ...     hits = [(model(x).argmax(1) == y).float().mean() for x, y in loader]
        ...     return sum(losses) / len(losses), sum(hits) / len(hits)
        >>> check_evaluate(by_batches).mistake
        'mean of batch means'

    Source: chapter 6.
    """
    return examine(_EVALUATE, fn, limit)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    model.train()
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def _steps(count: int) -> Probe:
    def run(step: Callable) -> Facets:
        net = _net().eval()
        optimizer, losses = torch.optim.SGD(net.parameters(), lr=0.5), []
        for _ in range(count):
            losses.append(as_seen(step(net, optimizer, _X.clone(), _Y.clone())))
        return {
            "loss": losses[-1],
            "weight of the linear layer": as_seen(net[1].weight),
            "running_mean": as_seen(net[0].running_mean),
        }

    return Probe({"x": _X, "y": _Y, "steps": count, "lr": 0.5, "mode before": "evaluation"}, run)


_TRAINING_STEP = Exercise(
    "training_step",
    _step,
    [_steps(1), _steps(3)],
    TRAINING_STEP,
    "06_mnist_early_stopping.ipynb#Training and validation functions",
)


def check_training_step(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check one step of training.

    Args:
        fn: ``fn(model, optimizer, x, y) -> loss``: the cross entropy of the batch before the step.
            The model may come in evaluation mode, and with gradients of the last step.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def step(model, optimizer, x, y):
        ...     model.train()
        ...     loss = F.cross_entropy(model(x), y)
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss.item()
        >>> check_training_step(step).mistake
        'zero_grad forgotten'

    Source: chapter 6.
    """
    return examine(_TRAINING_STEP, fn, limit)


def _reestimate(model: nn.Module, batches: list[Tensor]) -> nn.Module:
    model = copy.deepcopy(model).train()
    model[0].reset_running_stats()
    model[0].momentum = None
    with torch.no_grad():
        for x in batches:
            model(x)
    return model.eval()


def _reestimates(count: int) -> Probe:
    batches = [_X[:3], 2 * _X[1:4], _X[2:] - 3][:count]

    def run(reestimate: Callable) -> Facets:
        net = _net()
        found = reestimate(net, [x.clone() for x in batches])
        net = found if isinstance(found, nn.Module) else net
        return {
            "running_mean": as_seen(net[0].running_mean),
            "running_var": as_seen(net[0].running_var),
            "weight of the linear layer": as_seen(net[1].weight),
        }

    return Probe({f"batch {i}": x for i, x in enumerate(batches, start=1)}, run)


_REESTIMATE = Exercise(
    "reestimate",
    _reestimate,
    [_reestimates(1), _reestimates(3)],
    REESTIMATE,
    "12_train_test_mismatch.ipynb#Statistics that lag behind",
)


def check_reestimate(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a function that computes a model's running statistics anew, without labels.

    Args:
        fn: ``fn(model, batches)`` changes the model in place or returns a new one, whose running
            statistics are the plain average over the batches (tensors of inputs).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def not_enough(model, batches):
        ...     model.train()
        ...     for x in batches:
        ...         model(x)
        >>> check_reestimate(not_enough).mistake
        'old statistics not forgotten'

    Source: chapter 5, exercise 4; chapter 11, exercise 3.
    """
    return examine(_REESTIMATE, fn, limit)


EXERCISES = [_EVALUATE, _TRAINING_STEP, _REESTIMATE]
