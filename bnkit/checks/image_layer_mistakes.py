"""Known mistakes in the layer for images, as data."""

from __future__ import annotations

from bnkit.checks.exercise import Mistake
from bnkit.checks.forward_mistakes import AXES, WHICH_VARIANCE, WRONG_GRADIENTS
from bnkit.checks.layer_mistakes import UNBIASED, biased, detached, unbiased
from bnkit.checks.wrong_layers import Base, but

__all__ = ["LAYER_2D"]


def _per_example(self, x):
    return x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)


def _per_pixel(self, x):
    return x.mean(0, keepdim=True), x.var(0, unbiased=False, keepdim=True)


def _over_channels(self, x):
    axes = (1, 2, 3)
    return x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)


def _corrected_by_batch(self, x):
    mean, var = Base.statistics(self, x)
    return mean, var * len(x) / (len(x) - 1)


LAYER_2D = [
    Mistake(
        "statistics for every example", "layer_2d", but(statistics=_per_example),
        "Change one image of the batch. Should the outputs of the others move?", AXES,
    ),
    Mistake(
        "statistics for every pixel", "layer_2d", but(statistics=_per_pixel),
        "A filter does the same thing everywhere in the image. Over which axes does a channel "
        "share its statistics?", AXES,
    ),
    Mistake(
        "statistics over the channels", "layer_2d", but(statistics=_over_channels),
        "Which of the four axes of (N, C, H, W) keeps its own statistics?", AXES,
    ),
    Mistake(
        "corrected with N instead of N·H·W", "layer_2d", but(new_values=_corrected_by_batch),
        "How many numbers stand behind each variance, for N images of H × W pixels?", UNBIASED,
    ),
    Mistake(
        "biased running variance", "layer_2d", but(new_values=biased),
        "Which variance estimates the spread of all data from a few?", UNBIASED,
    ),
    Mistake(
        "unbiased variance in the forward pass", "layer_2d", but(statistics=unbiased),
        "By which number does your variance divide, and by which does PyTorch's layer?",
        WHICH_VARIANCE,
    ),
    Mistake(
        "detached statistics", "layer_2d", but(statistics=detached),
        "The outputs are right and the gradients are not. Which lines stand under no_grad?",
        WRONG_GRADIENTS,
    ),
]  # fmt: skip
