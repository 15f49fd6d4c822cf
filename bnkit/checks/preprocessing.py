"""Exercises on what stands before normalization: dead pixels, and a stack of layers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bnkit.checks.exercise import Exercise, Mistake, examine
from bnkit.book.observe import Facets, Probe, as_seen, calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.solutions import beginnings as solutions

__all__ = ["EXERCISES", "check_dead_pixels", "check_propagate_centered"]

PIXELS = "01_why_normalize.ipynb#At scale: 784 pixels, some of them dead"
STACK = "01_why_normalize.ipynb#One factor per layer"


def _counted(dead_of: Callable, touched_of: Callable) -> Callable:
    """A count of dead pixels with one of its two parts replaced."""

    def dead_pixels(batch, test):
        dead = dead_of(batch)
        return dead.sum().item(), touched_of(test[:, dead] != batch[0, dead]).item()

    return dead_pixels


def _dead(batch):
    return (batch == batch[0]).all(dim=0)


def _touched(moved):
    return moved.any(dim=1).float().mean()


DEAD_PIXELS = [
    Mistake(
        "living pixels counted", "dead_pixels", _counted(lambda batch: ~_dead(batch), _touched),
        "Count by hand, in the sample. Do you count the pixels that vary, or the others?", PIXELS,
    ),
    Mistake(
        "only black taken for dead", "dead_pixels",
        _counted(lambda batch: (batch == 0).all(dim=0), _touched),
        "A pixel that is white in every image of the batch: what is its variance?", PIXELS,
    ),
    Mistake(
        "share of pixels in place of images", "dead_pixels",
        _counted(_dead, lambda moved: moved.float().mean()),
        "An image with two woken pixels is one image. What does your average run over?", PIXELS,
    ),
    Mistake(
        "images with all dead pixels woken", "dead_pixels",
        _counted(_dead, lambda moved: moved.all(dim=1).float().mean()),
        "Is one woken pixel enough, or must every dead pixel wake?", PIXELS,
    ),
    Mistake(
        "number of images in place of their share", "dead_pixels",
        _counted(_dead, lambda moved: moved.any(dim=1).sum()),
        "Twice as many test images: should the second number double?", PIXELS,
    ),
    Mistake(
        "constant rows in place of columns", "dead_pixels",
        lambda batch, test: (
            (batch == batch[:, :1]).all(dim=1).sum().item(), solutions.dead_pixels(batch, test)[1],
        ),
        "A pixel is a column of the batch. Along which axis must it not change?", PIXELS,
    ),
]  # fmt: skip

_BATCH = torch.tensor([[0.0, 1.0, 0.5, 0.2, 0.0], [0.0, 1.0, 0.25, 0.2, 0.0]])
_TEST = torch.tensor(
    [[0.0, 1.0, 0.9, 0.2, 0.0], [0.5, 1.0, 0.1, 0.4, 0.0], [0.0, 0.0, 0.0, 0.2, 0]]
)
_LEVEL = torch.tensor([[1.0, 0.5, 0.0, 0.0], [2.0, 0.5, 0.0, 1.0], [0.0, 0.5, 0.0, 0.0]])
_OTHER = torch.tensor([[0.0, 0.5, 0.0, 3.0], [0.0, 0.5, 0.7, 0.0]])
_COUNTS = ("number of dead pixels", "share of images")

_DEAD_PIXELS = Exercise(
    "dead_pixels",
    solutions.dead_pixels,
    [
        calls({"batch": _BATCH, "test": _TEST}, _COUNTS),
        calls({"batch": _LEVEL, "test": _OTHER}, _COUNTS),
    ],
    DEAD_PIXELS,
    PIXELS,
)


def check_dead_pixels(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a count of pixels that are dead in a batch, and of images that wake one.

    Args:
        fn: ``fn(batch, test) -> count, share`` with tensors of shape (N, C) and (M, C).
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def black(batch, test):
        ...     dead = (batch == 0).all(dim=0)
        ...     return dead.sum(), (test[:, dead] > 0).any(dim=1).float().mean()
        >>> check_dead_pixels(black).mistake
        'only black taken for dead'

    Source: chapter 1, exercise 3.
    """
    return examine(_DEAD_PIXELS, fn, limit)


def _stack(change: Callable, passed_on: Callable = lambda z, raw: z.relu()) -> Callable:
    """A stack that changes its products in another way, or passes something else on."""

    def propagate(x, weights):
        layers = []
        for weight in weights:
            raw = x @ weight
            z = change(raw)
            layers.append(z)
            x = passed_on(z, raw)
        return layers

    return propagate


def _centered(z):
    return z - z.mean(dim=0)


PROPAGATE = [
    Mistake(
        "not centered", "propagate_centered", _stack(lambda z: z),
        "Compute the mean of each column of your first z.", STACK,
    ),
    Mistake(
        "wrong axis", "propagate_centered", _stack(lambda z: z - z.mean(dim=1, keepdim=True)),
        "A unit is a column. Which numbers share a mean?", STACK,
    ),
    Mistake(
        "one mean for all units", "propagate_centered", _stack(lambda z: z - z.mean()),
        "Has each of your columns the mean 0, or only all of them together?", STACK,
    ),
    Mistake(
        "divided by the standard deviation too", "propagate_centered",
        _stack(lambda z: _centered(z) / z.std(dim=0, unbiased=False)),
        "The exercise takes one half of the normalizer away. Which operation is left?", STACK,
        (_stack(lambda z: _centered(z) / z.std(dim=0)),),
    ),
    Mistake(
        "uncentered values passed on", "propagate_centered",
        _stack(_centered, lambda z, raw: raw.relu()),
        "Your first z is right, the second is not. What did the second layer receive?", STACK,
    ),
    Mistake(
        "ReLU forgotten", "propagate_centered", _stack(_centered, lambda z, raw: z),
        "Your first z is right, the second is not. What did the second layer receive?", STACK,
    ),
    Mistake(
        "values after the ReLU kept", "propagate_centered",
        lambda x, weights: [z.relu() for z in solutions.propagate_centered(x, weights)],
        "Can a z be negative? Can yours?", STACK,
    ),
]  # fmt: skip


def _propagates(x: list, weights: list) -> Probe:
    matrices = [torch.tensor(weight) for weight in weights]
    batch = torch.tensor(x)

    def run(propagate: Callable) -> Facets:
        layers = propagate(batch.clone(), [weight.clone() for weight in matrices])
        facets = {f"z of layer {i}": as_seen(z) for i, z in enumerate(layers, start=1)}
        return {"number of layers": str(len(layers))} | facets

    shown = {f"weight {i}": weight for i, weight in enumerate(matrices, start=1)}
    return Probe({"x": batch} | shown, run)


_PROPAGATE = Exercise(
    "propagate_centered",
    solutions.propagate_centered,
    [
        _propagates([[1.0, 2.0], [3.0, 0.0], [5.0, 1.0]], [[[1.0, 0.5], [0.0, 1.0]]] * 2),
        _propagates(
            [[1.0, -2.0], [2.0, 0.5], [6.0, 1.0], [0.0, 3.0]],
            [[[0.5, -1.0, 2.0], [1.0, 1.0, 0.25]], [[1.0], [2.0], [-0.5]]],
        ),
    ],
    PROPAGATE,
    STACK,
)


def check_propagate_centered(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a stack of layers that centers each unit over the examples and divides by nothing.

    Args:
        fn: ``fn(x, weights) -> layers`` with x of shape (N, C), a list of matrices, and a list of
            what each layer computes before its ReLU.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def plain(x, weights):
        ...     layers = []
        ...     for weight in weights:
        ...         layers.append(x @ weight)
        ...         x = layers[-1].relu()
        ...     return layers
        >>> check_propagate_centered(plain).mistake
        'not centered'

    Source: chapter 1, exercise 4.
    """
    return examine(_PROPAGATE, fn, limit)


EXERCISES = [_DEAD_PIXELS, _PROPAGATE]
