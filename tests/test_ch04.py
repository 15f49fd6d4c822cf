"""Chapter 4's exercises: the backward pass."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from mutants import share_named
from torch.nn import functional as F

from bnkit.book import ch04
from bnkit.book.ch04 import (
    backward_graph,
    batches_on_circle,
    errors_by_size,
    gradient_on_circle,
    over_sizes_and_seeds,
)
from bnkit.book.registry import EXERCISES, check


def three_terms(grad_output, x, weight, eps):
    centered = x - x.mean(dim=0)
    rstd = 1 / torch.sqrt((centered**2).mean(dim=0) + eps)
    x_hat = centered * rstd
    along = x_hat * (grad_output * x_hat).mean(dim=0)
    grad_input = weight * rstd * (grad_output - grad_output.mean(dim=0) - along)
    return grad_input, (grad_output * x_hat).sum(dim=0), grad_output.sum(dim=0)


def autograd(dy, x, gamma, eps):
    x.requires_grad_()
    gamma.requires_grad_()
    beta = torch.zeros_like(gamma, requires_grad=True)
    y = F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
    return torch.autograd.grad(y, (x, gamma, beta), dy)


def node_by_node(dout, x, gamma, eps):
    n, mu = len(x), x.mean(0)
    var = x.var(0, unbiased=False)
    std = torch.sqrt(var + eps)
    dx_hat = dout * gamma
    dvar = (dx_hat * (x - mu)).sum(0) * -0.5 * std**-3
    dmu = -(dx_hat / std).sum(0) + dvar * (-2 * (x - mu)).mean(0)
    dx = dx_hat / std + dvar * 2 * (x - mu) / n + dmu / n
    return [dx, (dout * (x - mu) / std).sum(0), dout.sum(0)]


def loops(g, x, w, eps):
    n, c = x.shape
    grad_input, grad_weight, grad_bias = torch.zeros(n, c), [], []
    for j in range(c):
        column, gradient = x[:, j].tolist(), g[:, j].tolist()
        mean = sum(column) / n
        sigma = math.sqrt(sum((v - mean) ** 2 for v in column) / n + eps)
        hat = [(v - mean) / sigma for v in column]
        dot = sum(a * b for a, b in zip(gradient, hat, strict=True))
        grad_weight.append(dot)
        grad_bias.append(sum(gradient))
        for i in range(n):
            inner = gradient[i] - sum(gradient) / n - hat[i] * dot / n
            grad_input[i, j] = w[j].item() / sigma * inner
    return grad_input, grad_weight, grad_bias


def jacobian(g, x, w, eps):
    g, x, w = g.double(), x.double(), w.double()

    def forward(z, gamma, beta):
        return gamma * (z - z.mean(0)) / (z.var(0, unbiased=False) + eps).sqrt() + beta

    _, back = torch.func.vjp(forward, x, w, torch.zeros_like(w))
    return back(g)


def in_place(g, x, w, eps):
    x -= x.mean(0)
    rstd = x.square().mean(0).add_(eps).rsqrt_()
    x *= rstd
    grad_weight, grad_bias = (g * x).sum(0), g.sum(0)
    g.sub_(grad_bias / len(x)).sub_(x.mul_(grad_weight / len(x))).mul_(w * rstd)
    return g, grad_weight, grad_bias


@pytest.mark.parametrize("answer", [three_terms, autograd, node_by_node, loops, jacobian, in_place])
def test_a_right_backward_passes_however_it_is_written(answer):
    assert check("backward", answer).passed


def as_rows(g, x, w, eps):
    rows = [z.movedim(1, -1).reshape(-1, len(w)) for z in (g, x)]
    grad_input, *grads = three_terms(*rows, w, eps)
    n, c, *size = x.shape
    return grad_input.view(n, *size, c).movedim(-1, 1), *grads


@pytest.mark.parametrize("answer", [autograd, as_rows])
def test_a_right_backward_for_images_passes(answer):
    assert check("backward_2d", answer).passed


def spoiled(number):
    def answer(*inputs):
        grads = list(three_terms(*inputs))
        grads[number] = grads[number] * grads[number].abs()
        return grads

    return answer


def partly_projected(g, x, w, eps):
    centered = x - x.mean(dim=0)
    rstd = torch.rsqrt((centered**2).mean(dim=0) + eps)
    along = centered * rstd * (g * centered * rstd).mean(0)
    return w * rstd * (g - g.mean(0) - along / 3), *three_terms(g, x, w, eps)[1:]


@pytest.mark.parametrize(
    "answer, stage",
    [
        (spoiled(2), "grad_bias"),
        (spoiled(1), "grad_weight"),
        (spoiled(0), "the factor weight / sqrt(variance + eps) of grad_input"),
        (partly_projected, "the path through the variance"),
    ],
)
def test_an_unknown_mistake_is_told_where_the_values_part(answer, stage):
    result = check("backward", answer)
    assert (result.status, result.stage) == ("unknown", stage)


def test_too_few_gradients_are_reported():
    result = check("backward", lambda g, x, w, eps: three_terms(g, x, w, eps)[0])
    assert "in place of 3 values: grad_input, grad_weight, grad_bias" in result.mistake


def transposed(grad_output, x, eps):
    return three_terms(grad_output.T, x.T, torch.ones(len(x)), eps)[0].T


def by_autograd(g, x, eps):
    x.requires_grad_()
    return torch.autograd.grad(F.layer_norm(x, x.shape[1:], eps=eps), x, g)[0]


@pytest.mark.parametrize("answer", [transposed, by_autograd])
def test_a_right_gradient_of_layer_norm_passes(answer):
    assert check("layer_norm_backward", answer).passed


def without_its_last_term(g, x, w, eps):
    std = (x.var(0, correction=0) + eps).sqrt()
    x_hat = (x - x.mean(0)) / std
    return w / (len(x) * std) * (len(x) * g - g.sum(0)), (g * x_hat).sum(0), g.sum(0)


def test_a_mistake_in_the_backward_pass_is_named():
    name = check("backward", without_its_last_term).mistake
    assert name == "path through the variance missing"


@pytest.mark.parametrize("name", [e.name for e in ch04.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_the_backward_graph_names_a_gradient_for_every_step_taken():
    named = [len(backward_graph(step=step).texts) for step in range(7)]
    assert sorted(set(named)) == named
    assert len({text.get_text() for text in backward_graph().texts} - {""}) == 18


@pytest.mark.parametrize("common", [0.0, 2.0])
def test_normalization_leaves_only_the_tangent_part_of_a_gradient(common):
    for degrees, left in {60: 0.0, 150: 1.3, 90: 0.65}.items():
        _, bars = gradient_on_circle(degrees, 60, common=common)
        heights = [bar.get_height() for bar in bars.containers[1]]
        np.testing.assert_allclose(np.linalg.norm(heights), left, atol=1e-12)
        np.testing.assert_allclose(sum(heights), 0, atol=1e-12)


def test_errors_by_size_show_the_mean_and_the_whole_range_of_the_seeds():
    errors = {"detached": [[[1.0, 9.0], [3.0, 9.0]], [[0.5, 9.0], [0.7, 9.0]]]}
    left, right = errors_by_size(errors, [4, 16], ["error", "angle"])
    np.testing.assert_allclose(left.lines[0].get_ydata(), [2.0, 0.6])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [9.0, 9.0])
    heights = left.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.5, 3.0)


def test_normalized_batches_of_three_lie_on_the_circle():
    ax = batches_on_circle(torch.rand(4, 3))
    dots = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.hypot(*np.transpose(dots)), 3**0.5)
    plt.close("all")


def test_errors_are_measured_for_every_size_and_seed():
    def errors(slips, n, seed):
        return n + len(slips), seed

    measured = over_sizes_and_seeds(errors, ("mean",), [4, 16], range(3))
    assert measured[:, :, 0].tolist() == [[5, 5, 5], [17, 17, 17]]
    assert measured[1, :, 1].tolist() == [0, 1, 2]
