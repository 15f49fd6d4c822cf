"""Answers to the exercises on the forward pass: right ones in many styles, and unknown ones."""

import math

import pytest
import torch
from torch import nn

from bnkit.checks import check_forward, check_forward_2d


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
    assert check_forward(answer).passed


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
    assert check_forward_2d(answer).passed


def standardized(x, mean, var, weight, bias, eps):
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


UNKNOWN = {
    "mean": lambda x, w, b, e: standardized(x, x.median(0)[0], x.var(0, False), w, b, e),
    "variance": lambda x, w, b, e: standardized(x, x.mean(0), 3 * x.var(0, False), w, b, e),
    "x_hat": lambda x, w, b, e: standardized(x, x.mean(0), x.var(0, False), w, b, 2 * e),
    "output": lambda x, w, b, e: standardized(x, x.mean(0), x.var(0, False), w**2, b, e),
}


@pytest.mark.parametrize("stage", UNKNOWN)
def test_an_unknown_mistake_is_told_where_the_values_part(stage):
    result = check_forward(UNKNOWN[stage])
    assert (result.status, result.mistake, result.stage) == ("unknown", None, stage)
    assert stage in result.headline
    assert result.sample.rows()


def test_an_unknown_mistake_on_images_is_told_where_the_values_part():
    def doubled(x, weight, bias, eps):
        return keepdim(x, weight, 2 * bias, eps)

    assert check_forward_2d(doubled).stage == "output"


def test_the_sample_is_the_smallest_input_that_differs():
    sample = check_forward(UNKNOWN["x_hat"]).sample
    assert sample.inputs["eps"] == 0.5
    assert sample.inputs["x"].shape == (3, 2)
