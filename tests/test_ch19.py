"""Chapter 19: what its equations and figures say."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bnkit import layers
from bnkit.book.ch19 import per_call, show_average, show_sources


@pytest.mark.parametrize(("momentum", "calls"), [(0.1, 2), (0.3, 3), (1.0, 2), (0.5, 1)])
def test_calls_at_the_momentum_per_call_move_the_statistics_as_one_call_does(momentum, calls):
    x = torch.randn(6, 3)
    once, often = nn.BatchNorm1d(3, momentum=momentum), nn.BatchNorm1d(3)
    often.momentum = per_call(momentum, calls)
    once(x)
    for _ in range(calls):
        often(x)
    torch.testing.assert_close(often.running_mean, once.running_mean)
    torch.testing.assert_close(often.running_var, once.running_var)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, layers.BatchNorm1d])
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_layer_moves_twice_and_its_gradient_is_right(kind, reentrant):
    x = torch.randn(8, 3, requires_grad=True)
    plain, recomputed = kind(3), kind(3)
    right = torch.autograd.grad(plain(x).square().sum(), x)[0]
    checkpoint(recomputed, x, use_reentrant=reentrant).square().sum().backward()
    torch.testing.assert_close(x.grad, right)
    torch.testing.assert_close(recomputed.running_mean, 1.9 * plain.running_mean)
    assert recomputed.num_batches_tracked == 2


def test_the_variance_of_an_average_falls_with_the_correlation():
    for correlation in (-0.5, 0.0, 0.9):
        figure = show_average(correlation)
        shown = float(figure.legends[0].get_texts()[2].get_text().split()[-1])
        plt.close(figure)
        assert shown == pytest.approx((1 + correlation) / 2, abs=0.05)


def test_each_way_to_average_has_a_panel_with_every_source():
    scores = {"last": [80.0, 82.0], "recomputed": [95.0, 96.0]}
    figure = show_sources({"apart": scores, "one path": scores})
    assert [ax.get_title("left") for ax in figure.axes] == ["apart", "one path"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(scores)
    plt.close(figure)
