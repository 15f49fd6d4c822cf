"""Chapter 1's exercises: the pixels that never light and the stack whose inputs are centered."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from mutants import share_named

from bnkit.book import ch01
from bnkit.book.ch01 import layer_histograms, sizes_and_last_layer
from bnkit.book.registry import EXERCISES, check


def by_variance(batch, test):
    dead = batch.var(dim=0) == 0
    return int(dead.sum()), (test[:, dead] != batch[0, dead]).any(1).double().mean()


def by_range(batch, test):
    low, high = batch.aminmax(dim=0)
    columns = (low == high).nonzero()[:, 0]
    woken = [any(row[c] != low[c] for c in columns) for row in test]
    return len(columns), sum(woken) / len(woken)


@pytest.mark.parametrize("answer", [by_variance, by_range])
def test_a_right_count_of_dead_pixels_passes(answer):
    result = check("dead_pixels", answer)
    assert result.passed, repr(result)


def in_place(x, weights):
    layers = []
    for weight in weights:
        z = x.mm(weight)
        z -= z.mean(0, keepdim=True)
        layers.append(z.clone())
        x = z.clamp_(min=0)
    return layers


def recursive(x, weights):
    if not weights:
        return ()
    z = torch.einsum("nc,cd->nd", x, weights[0])
    z = z - torch.stack([column.mean() for column in z.T])
    return (z, *recursive(torch.relu(z), weights[1:]))


@pytest.mark.parametrize("answer", [in_place, recursive])
def test_a_right_centered_stack_passes(answer):
    result = check("propagate_centered", answer)
    assert result.passed, repr(result)


def test_a_stack_that_returns_its_last_layer_alone_is_told_so():
    result = check("propagate_centered", lambda x, weights: in_place(x, weights)[-1:])
    assert result.mistake == "the last layer alone"


def test_an_image_that_is_compared_with_other_values_than_the_batch_s_is_seen():
    def answer(batch, test, values):
        dead = (batch == batch[0]).all(0)
        return dead.sum().item(), (test[:, dead] != values[dead]).any(1).float().mean().item()

    black = check("dead_pixels", lambda batch, test: answer(batch, test, 0 * batch[0]))
    own = check("dead_pixels", lambda batch, test: answer(batch, test, test[0]))
    assert black.mistake == "woken taken for not black"
    assert not own.passed


@pytest.mark.parametrize("name", [e.name for e in ch01.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_layer_histograms_share_their_scale_and_print_each_std():
    axes = layer_histograms([torch.tensor([-1.0, 1.0]), torch.tensor([-2.0, 2.0])])
    assert [ax.get_xlabel() for ax in axes] == ["std 1", "std 2"]
    assert axes[0].get_xlim() == axes[1].get_xlim()


def test_layer_histograms_draw_on_the_axes_that_they_are_given():
    axes = plt.subplots(1, 2)[1]
    assert layer_histograms([[0.0, 1.0], [0.5, -0.5]], axes) is axes
    plt.close("all")


def test_sizes_are_drawn_by_their_power_of_ten_beside_the_last_layer():
    layers = [torch.full((2, 2), 0.1), torch.full((2, 2), 100.0)]
    left, right = sizes_and_last_layer(layers, lambda h: h.max().item()).axes
    assert left.lines[0].get_ydata() == pytest.approx([-1, 2])
    assert right.get_title(loc="left") == "size 1e+02"
    plt.close("all")
