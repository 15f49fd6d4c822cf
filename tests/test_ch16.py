"""Chapter 16's exercises: the check of a layer."""

from __future__ import annotations

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch16
from bnkit.book.registry import EXERCISES, check


def by_hand(make):
    x = torch.tensor([[10_000.0, 20_000.0], [10_002.0, 20_006.0]])
    y = make(2)(x)
    return torch.where(y.isnan(), torch.inf, (y - torch.tensor([[-1.0], [1.0]])).abs()).max()


def by_comparison(make):
    x = torch.linspace(0, 1, 32).view(16, 2) + 5_000
    gap = (make(2)(x) - nn.BatchNorm1d(2)(x)).abs().max().item()
    return gap if gap == gap else 1e9


@pytest.mark.parametrize("answer", [by_hand, by_comparison])
def test_a_check_that_tells_patient_f_from_a_healthy_layer_passes(answer):
    result = check("shift_check", answer)
    assert result.passed, repr(result)


def test_a_check_that_finds_fault_with_a_healthy_layer_does_not_pass():
    result = check("shift_check", lambda make: 1.0)
    assert result.mistake == "the healthy layer fails, too"


@pytest.mark.parametrize("name", [e.name for e in ch16.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85
