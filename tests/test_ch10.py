"""Chapter 10's exercises: the residual block."""

from __future__ import annotations

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch10
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
