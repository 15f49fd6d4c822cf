"""Chapter 20: what its equation and its figure say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnkit.book.ch20 import landing, show_stream


def test_sources_that_take_turns_land_where_the_equation_says():
    sources = [torch.randn(500, 3) + 4, 2 * torch.randn(500, 3) - 1, torch.randn(500, 3)]
    layer = nn.BatchNorm1d(3, momentum=None, affine=False)
    for x in sources:
        layer(x)
    layer.eval()
    seen = torch.stack([layer(x).mean(0) for x in sources])  # (3, C)
    means = torch.stack([x.mean(0) for x in sources])
    unbiased = torch.stack([x.var(0) for x in sources])  # what the layer stores
    torch.testing.assert_close(landing(means, unbiased, layer.eps), seen)


def test_the_curve_of_a_stream_is_the_accuracy_over_the_last_images():
    right = [False] * 500 + [True] * 100 + [False] * 100
    ax = show_stream(right, before=30.0, window=100)
    adapted, before = ax.get_lines()
    assert adapted.get_ydata()[-101] == pytest.approx(100)
    assert adapted.get_ydata()[-1] == pytest.approx(0)
    assert set(before.get_ydata()) == {30.0}
