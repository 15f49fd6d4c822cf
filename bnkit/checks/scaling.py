"""Exercises with a formula for an answer: a step's turn, matching learning rates, batch noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from bnkit.checks.exercise import Exercise, Mistake, examine
from bnkit.book.observe import calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.solutions import effects as solutions

__all__ = ["EXERCISES", "check_halving_batch", "check_matching_lr", "check_turn"]

BRAKE = "07_speed_and_learning_rate.ipynb#By hand: a step that brakes itself"
DESCENT = "08_initialization.ipynb#What scale means for gradient descent"
NOISE = "09_regularization.ipynb#The size of the noise"


def _turned(step: Callable = lambda w, g, lr: w - lr * g, finish: Callable = math.degrees):
    def turn(w, grad, lr):
        new = step(w, grad, lr)
        return new.norm().item(), finish(math.acos((w @ new) / (w.norm() * new.norm())))

    return turn


TURN = [
    Mistake(
        "radians", "turn", _turned(finish=lambda angle: angle),
        "A right angle should be 90. What do you return for one?", BRAKE,
    ),
    Mistake(
        "uphill", "turn", _turned(lambda w, g, lr: w + lr * g),
        "Gradient descent goes down. In which direction from w is that?", BRAKE,
    ),
    Mistake(
        "cosine in place of the angle", "turn", _turned(finish=math.cos),
        "What do you return when w does not turn at all? It should be 0.", BRAKE,
    ),
    Mistake(
        "learning rate forgotten", "turn", _turned(lambda w, g, lr: w - g),
        "Double the learning rate. Does anything change?", BRAKE,
    ),
    Mistake(
        "length of the old vector", "turn",
        lambda w, grad, lr: (w.norm().item(), solutions.turn(w, grad, lr)[1]),
        "A step at a right angle to w makes it longer. Which vector do you measure?", BRAKE,
    ),
    Mistake(
        "angle between w and the gradient", "turn",
        lambda w, grad, lr: (
            (w - lr * grad).norm().item(),
            math.degrees(math.acos((w @ grad) / (w.norm() * grad.norm()))),
        ),
        "For the gradient of a scale-invariant loss yours is always 90. Which two vectors enclose "
        "the angle by which w turns?", BRAKE,
    ),
]  # fmt: skip


def _step(w: list, grad: list, lr: float):
    inputs = {"w": torch.tensor(w), "grad": torch.tensor(grad), "lr": lr}
    return calls(inputs, ("length", "angle"))


_TURN = Exercise(
    "turn",
    solutions.turn,
    [
        _step([0.0, 1.0], [-1.06, 0.0], 1.0),
        _step([3.0, 4.0], [4.0, -2.0], 0.5),
        _step([1.0, -2.0], [0.5, 0.75], 2.0),
    ],
    TURN,
    BRAKE,
)


def check_turn(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the length of a vector of weights after one step, and the angle of its turn.

    Args:
        fn: ``fn(w, grad, lr) -> length, angle`` with two vectors; the angle is in degrees.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_turn(lambda w, grad, lr: ((w + lr * grad).norm(), 0.0)).status
        'unknown'

    Source: chapter 7, exercise 1.
    """
    return examine(_TURN, fn, limit)


def _rates(sgd: float, adam: float) -> Callable:
    """Powers of the scale for the two optimizers."""
    return lambda lr, a, optimizer: lr * a ** (sgd if optimizer == "sgd" else adam)


MATCHING_LR = [
    Mistake(
        "Adam treated like SGD", "matching_lr", _rates(2, 2),
        "A gradient that is a times smaller: what becomes of Adam's step?", DESCENT,
    ),
    Mistake(
        "smaller gradient forgotten", "matching_lr", _rates(1, 1),
        "Weights that are a times longer need a step that is a times longer. And how long is the "
        "gradient that SGD multiplies?", DESCENT,
    ),
    Mistake(
        "optimizers swapped", "matching_lr", _rates(1, 2),
        "Which of the two optimizers multiplies the gradient as it is?", DESCENT,
    ),
    Mistake(
        "divided in place of multiplied", "matching_lr", _rates(-2, -1),
        "Larger weights turn less with the same step. Must the rate grow or fall?", DESCENT,
    ),
    Mistake(
        "scale ignored", "matching_lr", _rates(0, 0),
        "The output of batch normalization does not depend on a. Does the gradient?", DESCENT,
    ),
]  # fmt: skip

_MATCHING_LR = Exercise(
    "matching_lr",
    solutions.matching_lr,
    [
        calls({"lr": lr, "a": a, "optimizer": optimizer}, ("learning rate",))
        for lr, a in ((0.5, 10.0), (0.25, 0.5))
        for optimizer in ("sgd", "adam")
    ],
    MATCHING_LR,
    DESCENT,
)


def check_matching_lr(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the learning rate that makes up for larger weights in front of batch normalization.

    Args:
        fn: ``fn(lr, a, optimizer) -> lr``: with weights `a` times larger, for ``"sgd"`` or
            ``"adam"``.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_matching_lr(lambda lr, a, optimizer: lr * a**2).mistake
        'Adam treated like SGD'

    Source: chapter 8, exercise 4; van Laarhoven (2017), https://arxiv.org/abs/1706.05350.
    """
    return examine(_MATCHING_LR, fn, limit)


def _plentiful(factor: float) -> Callable:
    return lambda batch_size, total: factor * batch_size


HALVING_BATCH = [
    Mistake(
        "batch doubled", "halving_batch", _plentiful(2),
        "The variance of a mean falls like 1/N. What about its root, the noise?", NOISE,
    ),
    Mistake(
        "finite data forgotten", "halving_batch", _plentiful(4),
        "Take all examples. How much does the mean of such a batch vary, and what does your "
        "formula say?", NOISE,
    ),
    Mistake(
        "variance halved", "halving_batch",
        lambda batch_size, total: (
            2 * batch_size if math.isinf(total) else total / (1 + (total / batch_size - 1) / 2)
        ),
        "Half the noise is half the standard deviation. Which part of the variance is that?", NOISE,
    ),
    Mistake(
        "capped at the total", "halving_batch",
        lambda batch_size, total: min(4 * batch_size, total),
        "The answer bends towards `total` long before it reaches it. Solve the condition for N.",
        NOISE,
    ),
]  # fmt: skip

_HALVING_BATCH = Exercise(
    "halving_batch",
    solutions.halving_batch,
    [
        calls({"batch_size": size, "total": total}, ("batch size",))
        for size, total in ((32.0, math.inf), (32.0, 100.0), (10.0, 1000.0))
    ],
    HALVING_BATCH,
    NOISE,
)


def check_halving_batch(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check the batch size that halves the noise of a batch mean.

    Args:
        fn: ``fn(batch_size, total) -> batch_size`` for batches without replacement from `total`
            examples, which may be infinite. The result need not be whole.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_halving_batch(lambda batch_size, total: 4 * batch_size).mistake
        'finite data forgotten'

    Source: chapter 9, exercise 1.
    """
    return examine(_HALVING_BATCH, fn, limit)


EXERCISES = [_TURN, _MATCHING_LR, _HALVING_BATCH]
