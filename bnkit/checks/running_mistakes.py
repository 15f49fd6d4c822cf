"""Known mistakes with running statistics and modes, as data."""

from __future__ import annotations

import torch
from torch import nn

from bnkit.checks.exercise import Mistake

__all__ = ["CORRECTED_MEAN", "FREEZE", "RUNNING", "TO_PYTORCH"]

BY_HAND = "03_two_modes.ipynb#A running mean by hand"
EQUATION = "03_two_modes.ipynb#The equation"
UNBIASED = "03_two_modes.ipynb#Why store the unbiased variance?"
MEMORY = "03_two_modes.ipynb#How long is its memory?"
EVAL = "03_two_modes.ipynb#What the layer computes in eval mode"


def _towards(mean, var):
    """An update of both by a function of the batch."""
    return lambda rm, rv, x, m: (rm + m * (mean(x) - rm), rv + m * (var(x) - rv))


def _mean(x):
    return x.mean(0)


def _about_running_mean(rm, rv, x, m):
    var = (x - rm).square().sum(0) / (len(x) - 1)
    return rm + m * (x.mean(0) - rm), rv + m * (var - rv)


def _inverse_correction(x):
    return x.var(0, unbiased=False) * (len(x) - 1) / len(x)


RUNNING = [
    Mistake(
        "momentum on the wrong side", "running_statistics",
        lambda rm, rv, x, m: (m * rm + (1 - m) * x.mean(0), m * rv + (1 - m) * x.var(0)),
        "With momentum 0.1, how much of the old value should be left after one batch? PyTorch's "
        "momentum weights the new one.", EQUATION,
    ),
    Mistake(
        "biased running variance", "running_statistics",
        _towards(_mean, lambda x: x.var(0, unbiased=False)),
        "The running variance estimates that of all data from a few. By which number must the "
        "sum of squares be divided for that?", UNBIASED,
    ),
    Mistake(
        "correction upside down", "running_statistics", _towards(_mean, _inverse_correction),
        "Is the unbiased variance larger or smaller than the biased one? And yours?", UNBIASED,
    ),
    Mistake(
        "standard deviation in running_var", "running_statistics",
        _towards(_mean, lambda x: x.std(0)),
        "The name of the buffer says what it holds. Scale x by 10: by how much should it grow?",
        EQUATION,
    ),
    Mistake(
        "overwritten by the last batch", "running_statistics",
        lambda rm, rv, x, m: (x.mean(0), x.var(0)),
        "What do your running statistics remember of the batches before the last one?", MEMORY,
    ),
    Mistake(
        "old value not reduced", "running_statistics",
        lambda rm, rv, x, m: (rm + m * x.mean(0), rv + m * x.var(0)),
        "Feed the same batch again and again. Where does your running mean go?", MEMORY,
    ),
    Mistake(
        "new value not weighted", "running_statistics",
        lambda rm, rv, x, m: ((1 - m) * rm + x.mean(0), (1 - m) * rv + x.var(0)),
        "The weights of the old and the new value should add up to 1. Do yours?", BY_HAND,
    ),
    Mistake(
        "variance around the running mean", "running_statistics", _about_running_mean,
        "Around which mean are the squared distances of this batch taken?", EQUATION,
    ),
    Mistake(
        "mean and variance swapped", "running_statistics",
        lambda rm, rv, x, m: (rv + m * (x.var(0) - rv), rm + m * (x.mean(0) - rm)),
        "Compare the order in which you return the two with the one asked for.", EQUATION,
    ),
    Mistake(
        "wrong axis", "running_statistics",
        _towards(lambda x: x.mean(1), lambda x: x.var(1)),
        "There is one running mean for each feature. Over what is it a mean?",
        "02_equations.ipynb#Which axes?",
    ),
    Mistake(
        "running_var left alone", "running_statistics",
        lambda rm, rv, x, m: (rm + m * (x.mean(0) - rm), rv),
        "Evaluation needs two statistics. Which of yours moves?", BY_HAND,
    ),
]  # fmt: skip

TO_PYTORCH = [
    Mistake(
        "momentum left as it is", "to_pytorch", lambda m: m,
        "Keras's 0.99 keeps 99 % of the old value. What does PyTorch's 0.99 keep?", EQUATION,
    ),
    Mistake(
        "momentum inverted", "to_pytorch", lambda m: 1 / m,
        "A weight lies between 0 and 1. Which two weights add up to 1?", EQUATION,
    ),
    Mistake(
        "momentum negative", "to_pytorch", lambda m: m - 1,
        "A weight lies between 0 and 1. What is the sign of yours?", EQUATION,
    ),
]  # fmt: skip


def _corrected_by(divisor):
    """A running mean from 0, divided after batch t (from 1) by a function of momentum and t."""

    def corrected(means, m):
        running, rows = torch.zeros_like(means[0]), []
        for t, mean in enumerate(means, start=1):
            running = (1 - m) * running + m * mean
            rows.append(running / torch.tensor(divisor(m, t)))
        return torch.stack(rows)

    return corrected


CORRECTED_MEAN = [
    Mistake(
        "start not corrected", "corrected_mean", _corrected_by(lambda m, t: 1.0),
        "After one batch there is one thing to average. Does your value equal it?", BY_HAND,
    ),
    Mistake(
        "power of momentum", "corrected_mean", _corrected_by(lambda m, t: 1 - m**t),
        "Which weight has the starting value after t batches: m to the power t, or another "
        "number?", MEMORY,
    ),
    Mistake(
        "batches counted from zero", "corrected_mean",
        _corrected_by(lambda m, t: 1 - (1 - m) ** (t - 1)),
        "By what do you divide after the first batch?", MEMORY,
    ),
    Mistake(
        "same correction for every batch", "corrected_mean", _corrected_by(lambda m, t: m),
        "The starting value fades. Should the correction grow, shrink or stay?", MEMORY,
    ),
]  # fmt: skip


def _children_only(model):
    for module in model.children():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.eval()


FREEZE = [
    Mistake(
        "requires_grad taken for frozen", "freeze", lambda model: model.requires_grad_(False),
        "Are running statistics parameters? What moves them?", EVAL,
    ),
    Mistake(
        "whole model in eval mode", "freeze", lambda model: model.eval(),
        "Which other layers behave differently in training, and should go on doing so?",
        "03_two_modes.ipynb#A forgotten `eval()`, measured",
    ),
    Mistake(
        "nested layers missed", "freeze", _children_only,
        "Does your loop reach a layer inside a block inside the model? Compare children() with "
        "modules().", EVAL,
    ),
]  # fmt: skip
