"""Known mistakes in the forward pass, as data."""

from __future__ import annotations

import torch
from torch import Tensor

from bnkit.checks.exercise import Mistake

__all__ = [
    "AXES",
    "EPSILON",
    "EQUATIONS",
    "FORWARD",
    "TWO_FORMULAS",
    "UNDO",
    "WHICH_VARIANCE",
    "WRONG_GRADIENTS",
    "normalized",
]

EQUATIONS = "02_equations.ipynb#The equations"
AXES = "02_equations.ipynb#Which axes?"
EPSILON = "02_equations.ipynb#Epsilon: what happens when nothing varies"
UNDO = "02_equations.ipynb#Gamma and beta: what they can undo"
WHICH_VARIANCE = "02_equations.ipynb#Which variance? A batch of two decides"
TWO_FORMULAS = "02_equations.ipynb#Two formulas for the variance, one of them dangerous"
WRONG_GRADIENTS = "04_backward.ipynb#Four wrong versions"


def normalized(x: Tensor, eps: float, axes=(0,), unbiased: bool = False) -> Tensor:
    """Centred and scaled over the given axes."""
    mean, var = x.mean(axes, keepdim=True), x.var(axes, unbiased=unbiased, keepdim=True)
    return (x - mean) / torch.sqrt(var + eps)


def _over_features(x, weight, bias, eps):
    return weight * normalized(x, eps, (1,)) + bias


def _over_features_no_keepdim(x, weight, bias, eps):
    mean, var = x.mean(1), x.var(1, unbiased=False)
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def _over_everything(x, weight, bias, eps):
    return weight * normalized(x, eps, (0, 1)) + bias


def _unbiased(x, weight, bias, eps):
    return weight * normalized(x, eps, unbiased=True) + bias


def _eps_outside(x, weight, bias, eps):
    std = torch.sqrt(x.var(0, unbiased=False))
    return weight * (x - x.mean(0)) / (std + eps) + bias


def _no_eps(x, weight, bias, eps):
    return weight * normalized(x, 0.0) + bias


def _fixed_eps(x, weight, bias, eps):
    return weight * normalized(x, 1e-5) + bias


def _one_pass(x, weight, bias, eps):
    mean = x.mean(0)
    var = (x * x).mean(0) - mean * mean
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def _detached(x, weight, bias, eps):
    mean, var = x.detach().mean(0), x.detach().var(0, unbiased=False)
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def _detached_variance(x, weight, bias, eps):
    var = x.detach().var(0, unbiased=False)
    return weight * (x - x.mean(0)) / torch.sqrt(var + eps) + bias


def _detached_mean(x, weight, bias, eps):
    var = (x - x.detach().mean(0)).square().mean(0)
    return weight * (x - x.detach().mean(0)) / torch.sqrt(var + eps) + bias


def _no_root(x, weight, bias, eps):
    return weight * (x - x.mean(0)) / (x.var(0, unbiased=False) + eps) + bias


def _times_root(x, weight, bias, eps):
    return weight * (x - x.mean(0)) * torch.sqrt(x.var(0, unbiased=False) + eps) + bias


def _not_centred(x, weight, bias, eps):
    return weight * x / torch.sqrt(x.var(0, unbiased=False) + eps) + bias


def _swapped(x, weight, bias, eps):
    return bias * normalized(x, eps) + weight


def _no_bias(x, weight, bias, eps):
    return weight * normalized(x, eps)


def _no_weight(x, weight, bias, eps):
    return normalized(x, eps) + bias


def _bias_scaled(x, weight, bias, eps):
    return weight * (normalized(x, eps) + bias)


def _mean_square(x, weight, bias, eps):
    return weight * (x - x.mean(0)) / torch.sqrt(x.square().mean(0) + eps) + bias


FORWARD = [
    Mistake(
        "wrong axis", "forward", _over_features,
        "Which numbers should share a mean: those of one example, or those of one feature? "
        "How many means do you get for a batch of shape (3, 2)?",
        AXES, (_over_features_no_keepdim,),
    ),
    Mistake(
        "one mean for all features", "forward", _over_everything,
        "Two features may be measured in meters and in millimeters. How many means and variances "
        "does a batch with two features need?", AXES,
    ),
    Mistake(
        "unbiased variance in the forward pass", "forward", _unbiased,
        "Take a batch of two. By which number does your variance divide the sum of squares? What "
        "is the default of torch.var?", WHICH_VARIANCE,
    ),
    Mistake(
        "epsilon outside the root", "forward", _eps_outside,
        "Follow epsilon from left to right in the equation: is it added to a variance or to a "
        "standard deviation?", EPSILON,
    ),
    Mistake(
        "epsilon missing", "forward", _no_eps,
        "What does your code return for a feature that has the same value in every example?",
        EPSILON,
    ),
    Mistake(
        "epsilon fixed", "forward", _fixed_eps,
        "Call your function with eps=0.5 and with eps=1e-5. Does anything change?", EPSILON,
    ),
    Mistake(
        "variance as E[x²] − E[x]²", "forward", _one_pass,
        "Add 10,000 to every input, in float32. The output should not change at all.",
        TWO_FORMULAS,
    ),
    Mistake(
        "detached statistics", "forward", _detached,
        "The values are right and the gradient is not. Does each x also act through the mean and "
        "the variance that it is part of?", WRONG_GRADIENTS,
    ),
    Mistake(
        "detached variance", "forward", _detached_variance,
        "The values are right. One of the two statistics lets no gradient through: which one?",
        WRONG_GRADIENTS,
    ),
    Mistake(
        "detached mean", "forward", _detached_mean,
        "The values are right. The gradient of x should sum to zero in every column, and yours "
        "does not.", WRONG_GRADIENTS,
    ),
    Mistake(
        "divided by the variance", "forward", _no_root,
        "If x is in meters, the variance is in square meters. In which unit is your x_hat?",
        EQUATIONS,
    ),
    Mistake(
        "multiplied by the standard deviation", "forward", _times_root,
        "A feature with a large spread should be made smaller. Try one with spread 100.",
        EQUATIONS,
    ),
    Mistake(
        "mean not subtracted", "forward", _not_centred,
        "Compute the mean of every column of your output, with bias 0. What should it be?",
        EQUATIONS,
    ),
    Mistake(
        "mean square instead of variance", "forward", _mean_square,
        "Which mean is squared away in the variance: that of x, or that of x minus its mean?",
        EQUATIONS,
    ),
    Mistake(
        "gamma and beta swapped", "forward", _swapped,
        "With weight 1 and bias 0, what comes out of your last line?", UNDO,
    ),
    Mistake(
        "beta forgotten", "forward", _no_bias,
        "Call your function with two different biases. Does the output move?", UNDO,
    ),
    Mistake(
        "gamma forgotten", "forward", _no_weight,
        "Call your function with two different weights. Does the output change?", UNDO,
    ),
    Mistake(
        "gamma and beta forgotten", "forward", lambda x, weight, bias, eps: normalized(x, eps),
        "Which two arguments does your function never use?", UNDO,
    ),
    Mistake(
        "beta scaled by gamma", "forward", _bias_scaled,
        "Set weight to 0. What should be left of the output?", UNDO,
    ),
]  # fmt: skip
