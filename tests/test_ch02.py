"""Chapter 2's exercises: right answers in many styles, and what is said of wrong ones."""

import math

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book.ch02 import feature_spread
from bnkit.book.registry import EXERCISES, check


def textbook(x, weight, bias, eps):
    mu = x.mean(dim=0)
    var = ((x - mu) ** 2).mean(dim=0)
    return weight * (x - mu) / torch.sqrt(var + eps) + bias


def library(x, gamma, beta, epsilon):
    return nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=epsilon)


def plain_loops(batch, g, b, e):
    rows, columns = batch.shape
    result = [[0.0] * columns for _ in range(rows)]
    for j in range(columns):
        column = [batch[i, j].item() for i in range(rows)]
        mean = sum(column) / rows
        var = sum((value - mean) ** 2 for value in column) / rows
        for i in range(rows):
            result[i][j] = g[j].item() * (column[i] - mean) / math.sqrt(var + e) + b[j].item()
    return result


def in_place(x, weight, bias, eps):
    x -= x.mean(0)
    x /= x.pow(2).mean(0).add_(eps).sqrt_()
    return x.mul_(weight).add_(bias)


def in_double(x, weight, bias, eps):
    var, mean = torch.var_mean(x.double(), dim=0, keepdim=True, correction=0)
    return (x.double() - mean) * torch.rsqrt(var + eps) * weight + bias


def matrix(x, weight, bias, eps):
    centred = x - torch.ones(len(x), len(x)) @ x / len(x)
    return centred @ torch.diag(weight / torch.sqrt(centred.square().mean(0) + eps)) + bias


def numpy(x, weight, bias, eps):
    x = x.detach().numpy()
    y = (x - x.mean(0)) / (x.var(0) + eps) ** 0.5
    return y * weight.numpy() + bias.numpy()


def filled(x, weight, bias, eps):
    y = torch.empty_like(x)
    for j in range(x.shape[1]):
        column = x[:, j]
        y[:, j] = (column - column.mean()) / (column.std(correction=0) ** 2 + eps) ** 0.5
    return y * weight + bias


RIGHT = [textbook, library, plain_loops, in_place, in_double, matrix, numpy, filled]


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_forward_passes_however_it_is_written(answer):
    assert check("forward", answer).passed


def as_rows(x, weight, bias, eps):
    rows = x.movedim(1, -1)
    y = textbook(rows.reshape(-1, x.shape[1]), weight, bias, eps)
    return y.view(rows.shape).movedim(-1, 1)


def keepdim(x, weight, bias, eps):
    mu = x.mean((0, 2, 3), keepdim=True)
    var = x.var((0, 2, 3), unbiased=False, keepdim=True)
    view = (1, -1, 1, 1)
    return weight.view(view) * (x - mu) / (var + eps) ** 0.5 + bias.view(view)


def by_channel(x, weight, bias, eps):
    channels = []
    for c in range(x.shape[1]):
        z = x[:, c]
        z = (z - z.mean()) / torch.sqrt(((z - z.mean()) ** 2).mean() + eps)
        channels.append(weight[c] * z + bias[c])
    return torch.stack(channels, dim=1)


def transposed(x, weight, bias, eps):
    flat = x.transpose(0, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat / (flat.square().mean(1, keepdim=True) + eps).sqrt()
    flat = flat * weight[:, None] + bias[:, None]
    return flat.view(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)


def double_in_place(x, weight, bias, eps):
    y = x.double()
    y -= y.mean((0, 2, 3), keepdim=True)
    y *= torch.rsqrt((y * y).mean((0, 2, 3), keepdim=True) + eps)
    return y * weight[:, None, None] + bias[:, None, None]


@pytest.mark.parametrize(
    "answer", [library, as_rows, keepdim, by_channel, transposed, double_in_place]
)
def test_a_right_forward_for_images_passes_however_it_is_written(answer):
    assert check("forward_2d", answer).passed


def standardized(x, mean, var, weight, bias, eps):
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


UNKNOWN = {
    "mean": lambda x, w, b, e: standardized(x, x.mean(0) + 3, x.var(0, False), w, b, e),
    "variance": lambda x, w, b, e: standardized(x, x.mean(0), 3 * x.var(0, False), w, b, e),
    "x_hat": lambda x, w, b, e: standardized(x, x.mean(0), x.var(0, False), w, b, 7 * e),
    "output": lambda x, w, b, e: standardized(x, x.mean(0), x.var(0, False), w**3, b, e),
}


@pytest.mark.parametrize("stage", UNKNOWN)
def test_an_unknown_mistake_is_told_where_the_values_part(stage):
    result = check("forward", UNKNOWN[stage])
    assert (result.status, result.mistake, result.stage) == ("unknown", None, stage)
    assert stage in result.headline
    assert result.sample.rows()


def test_an_unknown_mistake_on_images_is_told_where_the_values_part():
    def doubled(x, weight, bias, eps):
        return keepdim(x, weight, 2 * bias, eps)

    assert check("forward_2d", doubled).stage == "output"


def test_the_sample_is_the_smallest_input_that_differs():
    sample = check("forward", UNKNOWN["x_hat"]).sample
    assert sample.inputs["eps"] == 0.5
    assert sample.inputs["x"].shape == (3, 2)


def forward_std(x, weight, bias, eps):
    return (x - x.mean(0)) / torch.sqrt(torch.std(x, 0) ** 2 + eps) * weight + bias


def forward_loop_unbiased(x, weight, bias, eps):
    """Its gradients are wrong too; the values come first."""
    y = torch.empty_like(x)
    for j in range(x.shape[1]):
        mu = sum(x[:, j].tolist()) / len(x)
        var = sum((v - mu) ** 2 for v in x[:, j].tolist()) / (len(x) - 1)
        y[:, j] = weight[j] * (x[:, j] - mu) / math.sqrt(var + eps) + bias[j]
    return y


def forward_no_grad(x, weight, bias, eps):
    with torch.no_grad():
        mu = x.mean(dim=0)
        var = ((x - mu) ** 2).mean(dim=0)
    return (x - mu) / (var + eps).sqrt() * weight + bias


def forward_sums_of_squares(x, weight, bias, eps):
    n = x.shape[0]
    mu = x.sum(0) / n
    var = (x**2).sum(0) / n - mu**2
    return weight * (x - mu) * torch.rsqrt(var.clamp(min=0) + eps) + bias


def forward_dim_one(x, weight, bias, eps):
    mu = x.mean(dim=-1, keepdim=True)
    return weight * (x - mu) / (((x - mu) ** 2).mean(-1, keepdim=True) + eps) ** 0.5 + bias


def forward_in_double_without_eps(x, weight, bias, eps):
    x = x.double()
    return weight * (x - x.mean(0)) / x.std(0, correction=0) + bias


FORWARD = {
    forward_std: "unbiased variance in the forward pass",
    forward_loop_unbiased: "unbiased variance in the forward pass",
    forward_no_grad: "detached statistics",
    forward_sums_of_squares: "variance as E[x²] − E[x]²",
    forward_dim_one: "wrong axis",
    forward_in_double_without_eps: "epsilon missing",
}


@pytest.mark.parametrize("answer", FORWARD, ids=lambda answer: answer.__name__)
def test_a_mistake_in_the_forward_pass_is_named(answer):
    assert check("forward", answer).mistake == FORWARD[answer]


def test_the_statistics_that_a_layer_starts_with_do_not_normalize():
    def answer(x, weight, bias, eps):
        zeros = torch.zeros_like(weight)
        return torch.nn.functional.batch_norm(x, zeros, zeros + 1, weight, bias, False, 0.1, eps)

    assert check("forward", answer).mistake == "not normalized"


@pytest.mark.parametrize("name", ["forward", "forward_2d", "whiten"])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_one_axis_for_everything_is_a_wrong_axis_although_it_raises():
    def over_rows(x, weight, bias, eps):
        mean = x.mean(dim=1)
        var = ((x - mean) ** 2).mean(dim=1)
        return weight * (x - mean) / torch.sqrt(var + eps) + bias

    assert check("forward", over_rows).mistake == "wrong axis"


@pytest.mark.parametrize("axes", [(0, 2), (0, 3)])
def test_an_image_axis_that_is_left_out_is_named(axes):
    def partly(x, weight, bias, eps):
        mean = x.mean(axes, keepdim=True)
        var = x.var(axes, unbiased=False, keepdim=True)
        return weight[:, None, None] * (x - mean) / torch.sqrt(var + eps) + bias[:, None, None]

    assert check("forward_2d", partly).mistake == "an axis of the image left out"


def test_two_mistakes_at_once_are_named_as_both():
    def unbiased_and_outside(x, weight, bias, eps):
        return weight * (x - x.mean(0)) / (x.std(0) + eps) + bias

    found = check("forward", unbiased_and_outside).mistake
    assert "unbiased variance in the forward pass" in found
    assert "epsilon outside the root" in found


def by_cholesky(x):
    centered = x - x.mean(0)
    factor = torch.linalg.cholesky(centered.T @ centered / len(x))
    return torch.linalg.solve_triangular(factor, centered.T, upper=False).T


def test_white_but_turned_is_told_so():
    assert check("whiten", by_cholesky).mistake.startswith("white, but turned")


def test_feature_spread_draws_a_dot_at_each_mean_sorted():
    axes = feature_spread({"before": [[1.0, 2.0], [3.0, 0.0]]})
    assert axes[0].get_title(loc="left") == "before"
    assert axes[0].lines[0].get_ydata().tolist() == [1.0, 2.0]


def eigen(x, eps=1e-5):
    centered = x - x.mean(dim=0)
    cov = centered.T @ centered / len(x)
    values, vectors = torch.linalg.eigh(cov + eps * torch.eye(x.shape[1]))
    return centered @ vectors @ torch.diag(values.rsqrt()) @ vectors.T


def singular(x):
    u, _, vt = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    return len(x) ** 0.5 * u @ vt


@pytest.mark.parametrize("answer", [eigen, singular])
def test_a_right_whitening_passes_however_it_is_written(answer):
    assert check("whiten", answer).passed
