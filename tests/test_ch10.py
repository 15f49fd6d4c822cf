"""Chapter 10's exercises: the residual block."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch10
from bnkit.book.ch10 import accuracy_by_step, along_the_gradient, gradient_by_layer
from bnkit.book.registry import EXERCISES, check


class Chain(nn.Module):
    """All of the branch in one Sequential, and no bias that the mean would remove."""

    def __init__(self, width):
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(), nn.Linear(width, width, bias=False), nn.BatchNorm1d(width)
        )

    def forward(self, h):
        return self.branch(h).add(h)


class InPlace(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.bn, self.fc = nn.BatchNorm1d(size), nn.Linear(size, size)

    def forward(self, x):
        out = self.bn(self.fc(torch.clamp(x, min=0)))
        out += x
        return out


@pytest.mark.parametrize("answer", [Chain, InPlace])
def test_a_right_block_passes(answer):
    result = check("skip_block", answer)
    assert result.passed, repr(result)


@pytest.mark.parametrize("name", [e.name for e in ch10.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_the_band_along_the_gradient_spans_the_runs_and_the_line_is_their_mean():
    runs = [[1.0, 3.0], [0.0, 4.0]]
    panels = along_the_gradient({0.1: {"BN": (runs, runs)}}, [0.0, 1.0])
    for axes in panels.flat:
        assert axes.lines[0].get_ydata().tolist() == [2.0, 2.0]
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (0.0, 4.0)
    assert panels[0, 0].get_title(loc="left") == "learning rate 0.1"
    plt.close("all")


def test_a_panel_of_accuracy_shows_each_run_and_their_mean():
    runs = [[10.0, 30.0], [50.0, 90.0]]
    panels = accuracy_by_step({"20": {"BN": runs}, "50": {"BN": runs}}, {"20": 80, "50": 80})
    assert panels[0, 0].lines[0].get_xdata().tolist() == [40, 80]
    for axes in panels.flat:
        first, second, mean = (line.get_ydata().tolist() for line in axes.lines)
        assert (first, second, mean) == ([10.0, 50.0], [30.0, 90.0], [20.0, 70.0])
    plt.close("all")


def test_the_theory_starts_at_the_last_layer_and_grows_towards_the_first():
    ax = gradient_by_layer({"BN": [3.0, 2.0, 1.0]}, growth=1.5, ylim=(0.1, 10))
    measured, theory = ax.lines
    assert measured.get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert theory.get_ydata().tolist() == [2.25, 1.5, 1.0]
    plt.close("all")
