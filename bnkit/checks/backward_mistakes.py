"""Known mistakes in the backward pass, as data."""

from __future__ import annotations

import torch

from bnkit.checks.exercise import Mistake

__all__ = ["BACKWARD", "BACKWARD_2D", "LAYER_NORM_BACKWARD"]

THREE_TERMS = "04_backward.ipynb#The equation: three terms"
REMOVED = "04_backward.ipynb#What is removed, and why these two"
FOUR = "04_backward.ipynb#Four wrong versions"
ROWS = "04_backward.ipynb#One row matters, all rows move"
GRAPH = "04_backward.ipynb#The graph"


def _parts(x, eps, axes=(0,), unbiased=False):
    rstd = torch.rsqrt(x.var(axes, unbiased=unbiased, keepdim=True) + eps)
    return (x - x.mean(axes, keepdim=True)) * rstd, rstd


def _answer(grad_input):
    """A whole answer around a formula for grad_input without its factor gamma / sigma."""

    def backward(g, x, weight, eps):
        x_hat, rstd = _parts(x, eps)
        return weight * rstd * grad_input(g, x_hat), (g * x_hat).sum(0), g.sum(0)

    return backward


def _project(g, x_hat):
    return g - g.mean(0) - x_hat * (g * x_hat).mean(0)


def _changed(change):
    """The right answer, changed at its end."""

    def backward(g, x, weight, eps):
        x_hat, rstd = _parts(x, eps)
        grads = weight * rstd * _project(g, x_hat), (g * x_hat).sum(0), g.sum(0)
        return change(grads, g, x, weight, x_hat)

    return backward


def _no_eps(g, x, weight, eps):
    return _changed(lambda grads, *_: grads)(g, x, weight, 0.0)


def _unbiased(g, x, weight, eps):
    x_hat, rstd = _parts(x, eps, unbiased=True)
    return weight * rstd * _project(g, x_hat), (g * x_hat).sum(0), g.sum(0)


BACKWARD = [
    Mistake(
        "statistics taken for constants", "backward", _answer(lambda g, x_hat: g),
        "Set grad_output to 1 everywhere. Shifting all outputs alike is what beta does: which "
        "gradient should arrive at x?", FOUR,
    ),
    Mistake(
        "path through the mean missing", "backward",
        _answer(lambda g, x_hat: g - x_hat * (g * x_hat).mean(0)),
        "Sum your grad_input over the batch. A shift of x changes nothing, so what must the sum "
        "be?", FOUR,
    ),
    Mistake(
        "path through the variance missing", "backward", _answer(lambda g, x_hat: g - g.mean(0)),
        "Multiply your grad_input by x_hat and sum over the batch. Stretching x changes nothing, "
        "so what must the sum be?", FOUR,
    ),
    Mistake(
        "third term without x_hat", "backward",
        _answer(lambda g, x_hat: g - g.mean(0) - (g * x_hat).mean(0)),
        "Your third term is the same for every example. Along which direction should it be "
        "removed?", REMOVED,
    ),
    Mistake(
        "third term added", "backward",
        _answer(lambda g, x_hat: g - g.mean(0) + x_hat * (g * x_hat).mean(0)),
        "Is the part along x_hat removed from the gradient, or doubled?", REMOVED,
    ),
    Mistake(
        "sums in place of means", "backward",
        _answer(lambda g, x_hat: g - g.sum(0) - x_hat * (g * x_hat).sum(0)),
        "Repeat every example of the batch twice. Which terms of your grad_input double?",
        THREE_TERMS,
    ),
    Mistake(
        "gamma forgotten in grad_input", "backward",
        _changed(lambda grads, g, x, weight, x_hat: (grads[0] / weight, *grads[1:])),
        "With weight 0 the output does not depend on x at all. What does your grad_input say?",
        THREE_TERMS,
    ),
    Mistake(
        "gamma in its own gradient", "backward",
        _changed(lambda grads, g, x, weight, x_hat: (grads[0], grads[1] * weight, grads[2])),
        "The output is weight · x_hat + bias. What is its derivative with respect to weight?",
        GRAPH,
    ),
    Mistake(
        "grad_weight from x in place of x_hat", "backward",
        _changed(lambda grads, g, x, weight, x_hat: (grads[0], (g * x).sum(0), grads[2])),
        "Which quantity is multiplied by weight in the forward pass?", GRAPH,
    ),
    Mistake(
        "grad_weight and grad_bias averaged", "backward",
        _changed(lambda grads, g, *_: (grads[0], grads[1] / len(g), grads[2] / len(g))),
        "Every example adds to the gradient of a shared parameter. Is the loss averaged by the "
        "layer, or before it?", GRAPH,
    ),
    Mistake(
        "grad_weight and grad_bias swapped", "backward",
        _changed(lambda grads, *_: (grads[0], grads[2], grads[1])),
        "Compare the order in which you return the three gradients with the one asked for.",
        THREE_TERMS,
    ),
    Mistake(
        "epsilon missing", "backward", _no_eps,
        "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
        "02_equations.ipynb#Epsilon: what happens when nothing varies",
    ),
    Mistake(
        "unbiased variance in the backward pass", "backward", _unbiased,
        "Which variance did the forward pass divide by? The backward pass must use the same.",
        "02_equations.ipynb#Which variance? A batch of two decides",
    ),
    Mistake(
        "gradients keep the batch axis", "backward",
        _changed(lambda grads, *_: (grads[0], grads[1][None], grads[2][None])),
        "Print the shapes of weight and of your grad_weight.", GRAPH,
        (_changed(lambda grads, g, x, weight, x_hat: (grads[0], g * x_hat, g)),),
    ),
    Mistake(
        "summed over the features", "backward",
        _changed(lambda grads, g, x, weight, x_hat: (grads[0], (g * x_hat).sum(1), g.sum(1))),
        "There is one weight for each feature. Over what, then, do its gradients add up?", ROWS,
    ),
]  # fmt: skip


def _images(axes=(0, 2, 3), count=None, terms=2):
    """A backward pass for images with means over some axes, or sums divided by a count."""

    def mean(z):
        return z.mean(axes, keepdim=True) if count is None else z.sum(axes, True) / count(z)

    def backward(g, x, weight, eps):
        x_hat, rstd = _parts(x, eps, axes)
        removed = mean(g) + x_hat * mean(g * x_hat) if terms else 0
        grad_input = weight.view(1, -1, 1, 1) * rstd * (g - removed)
        return grad_input, (g * x_hat).sum((0, 2, 3)), g.sum((0, 2, 3))

    return backward


def _not_reshaped(g, x, weight, eps):
    grads = _images()(g, x, torch.ones_like(weight), eps)
    return weight * grads[0], *grads[1:]


BACKWARD_2D = [
    Mistake(
        "statistics taken for constants", "backward_2d", _images(terms=0),
        "Set grad_output to 1 everywhere. Which gradient should arrive at x?", FOUR,
    ),
    Mistake(
        "divided by N instead of N·H·W", "backward_2d", _images(count=len),
        "How many numbers does one channel hold in a batch of N images of H × W pixels?",
        THREE_TERMS,
    ),
    Mistake(
        "means for every pixel", "backward_2d", _images((0,)),
        "The forward pass shares a mean among all positions of a channel. Which axes does the "
        "backward pass sum over, then?", THREE_TERMS,
    ),
    Mistake(
        "means for every example", "backward_2d", _images((2, 3)),
        "Does the loss of one image depend on the pixels of another?", ROWS,
    ),
    Mistake(
        "weight not reshaped", "backward_2d", _not_reshaped,
        "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is that?",
        "05_manual_implementation.ipynb#Images: choose the axes",
    ),
]  # fmt: skip


def _of_rows(removed):
    """The gradient over rows, with a formula for what is removed before the division."""

    def backward(g, x, eps):
        x_hat, rstd = _parts(x, eps, (1,))
        return rstd * (g - removed(g, x_hat))

    return backward


def _of_batch(g, x, eps):
    x_hat, rstd = _parts(x, eps)
    return rstd * _project(g, x_hat)


def _row_mean(z):
    return z.mean(1, keepdim=True)


LAYER_NORM_BACKWARD = [
    Mistake(
        "gradient of batch normalization", "layer_norm_backward", _of_batch,
        "Which numbers play the part of the batch now? Does a batch of one give zero?", REMOVED,
    ),
    Mistake(
        "result not transposed back", "layer_norm_backward",
        lambda g, x, eps: _of_batch(g.T, x.T, eps),
        "Compare the shape of your result with that of x.", REMOVED,
    ),
    Mistake(
        "only x transposed", "layer_norm_backward",
        lambda g, x, eps: _of_batch(g, x.T, eps).T,
        "Each gradient belongs to one entry of x. Do the two still lie side by side?", REMOVED,
    ),
    Mistake(
        "statistics taken for constants", "layer_norm_backward", _of_rows(lambda g, x_hat: 0),
        "Set grad_output to 1 everywhere. A shift of a row changes nothing: what should arrive?",
        FOUR,
    ),
    Mistake(
        "path through the mean missing", "layer_norm_backward",
        _of_rows(lambda g, x_hat: x_hat * _row_mean(g * x_hat)),
        "Sum your gradient over each row. What must the sum be?", FOUR,
    ),
    Mistake(
        "path through the variance missing", "layer_norm_backward",
        _of_rows(lambda g, x_hat: _row_mean(g)),
        "Multiply your gradient by x_hat and sum over each row. What must the sum be?", FOUR,
    ),
]  # fmt: skip
