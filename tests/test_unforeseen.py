"""Answers that passed once although they are wrong, and classics that had no name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnkit.book.exercise import execute
from bnkit.book.registry import EXERCISES, check


def changed(name: str, old: str, new: str):
    exercise = EXERCISES[name]
    return execute(exercise.source.replace(old, new), exercise.answer)


def first_rows_alone(x, weight, bias, eps):
    mean, var = x[:3].mean(0), x[:3].var(0, unbiased=False)
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def first_columns_alone(x, weight, bias, eps):
    y = weight * (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps) + bias
    return torch.cat([y[:, :3], 0 * y[:, 3:]], dim=1)


def plain_convolution(layer, bn):
    """Forgets what a convolution may do besides."""
    new = nn.Linear(layer.weight.shape[1], len(layer.weight))
    if isinstance(layer, nn.Conv2d):
        new = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size)
    a = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    b = torch.zeros_like(bn.bias) if layer.bias is None else layer.bias
    new.weight = nn.Parameter(a.view(-1, *[1] * (layer.weight.dim() - 1)) * layer.weight)
    new.bias = nn.Parameter(a * (b - bn.running_mean) + bn.bias)
    return new


RETURN = "return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias"
NOT_IN_EVALUATION = (
    RETURN.replace("return", "y =") + "\n        return y if self.training else y.detach()"
)
WRONG = {
    "forward right for three examples": ("forward", first_rows_alone),
    "forward right for three features": ("forward", first_columns_alone),
    "fold returns both layers": ("fold", lambda layer, bn: nn.Sequential(layer, bn).eval()),
    "fold returns a function": ("fold", lambda layer, bn: lambda x: bn(layer(x))),
    "fold forgets stride and groups": ("fold", plain_convolution),
    "eigenvectors transposed": (
        "whiten",
        changed(
            "whiten",
            "vectors @ torch.diag(values.rsqrt()) @ vectors.T",
            "vectors.T @ torch.diag(values.rsqrt()) @ vectors",
        ),
    ),
    "output detached in evaluation": ("layer", changed("layer", RETURN, NOT_IN_EVALUATION)),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_is_right_on_small_inputs_alone_does_not_pass(name):
    result = check(*WRONG[name])
    assert result.status in ("mistake", "unknown", "raised"), repr(result)


NAMED = {
    "no epsilon in evaluation": (
        "layer", "var + self.eps", "var + (self.eps if self.training else 0.0)"),
    "arguments ignored": (
        "layer", "x.var(dim=0), self.momentum", "x.var(dim=0), 0.1"),
    "a gap at equality": (
        "early_stopping", "        else:", "        elif val_loss > self.best_loss - self.delta:"),
    "epsilon of another size": ("family", "1e-5", "1e-8"),
    "epsilon outside the root": ("group_norm", "torch.sqrt(var + eps)", "(torch.sqrt(var) + eps)"),
    "epsilon missing or fixed": ("group_norm", "var + eps", "var + 1e-4"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_what_stands_in_place_of_an_ingredient_is_named(name):
    exercise, old, new = NAMED[name]
    assert name in check(exercise, changed(exercise, old, new)).mistake.split(", or ")


def with_names_of_the_paper(num_features, eps=1e-5, momentum=0.1):
    source = EXERCISES["layer"].source.replace("self.weight", "self.gamma")
    return execute(source.replace("self.bias", "self.beta"), "Layer")(num_features, eps, momentum)


def averages_of_averages(shards, eps):
    mean = sum(x.mean(0) for x in shards) / len(shards)
    square = sum((x * x).mean(0) for x in shards) / len(shards)
    return [(x - mean) / torch.sqrt(square - mean**2 + eps) for x in shards]


def of_samples(counts, means, variances):
    n = counts.sum()
    mean = (counts[:, None] * means).sum(0) / n
    between = (counts[:, None] * (means - mean) ** 2).sum(0)
    return mean, (((counts - 1)[:, None] * variances).sum(0) + between) / (n - 1)


CLASSICS = {
    "gamma and beta under other names": ("layer", with_names_of_the_paper),
    "averages of the means and of the mean squares": ("sync", averages_of_averages),
    "variances taken for unbiased ones": ("merge", of_samples),
}


@pytest.mark.parametrize("name", CLASSICS)
def test_a_classic_is_named(name):
    assert check(*CLASSICS[name]).mistake == name
