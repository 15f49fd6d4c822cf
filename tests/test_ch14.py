"""Chapter 14's exercises: closing the doors of residual blocks."""

from __future__ import annotations

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch14
from bnkit.book.registry import EXERCISES, check


@torch.no_grad()
def by_name(net):
    for name, parameter in net.named_parameters():
        if name.endswith("branch.4.weight"):
            parameter.zero_()


def by_apply(net):
    def close(module):
        if hasattr(module, "branch"):
            nn.init.constant_(module.branch[-1].weight, 0)

    return net.apply(close)


@pytest.mark.parametrize("answer", [by_name, by_apply])
def test_a_right_door_passes(answer):
    result = check("close_doors", answer)
    assert result.passed, repr(result)


@pytest.mark.parametrize("name", [e.name for e in ch14.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def rebound(net):
    for module in net.modules():
        if hasattr(module, "branch"):
            weight = module.branch[-1].weight
            weight = torch.zeros_like(weight)  # another tensor of the same name


def first_layer(net):
    for module in net.modules():
        if hasattr(module, "branch"):
            module.branch[0].weight.data.zero_()


@pytest.mark.parametrize(
    ("answer", "mistake"),
    [(rebound, "no door closed"), (first_layer, "convolution in place of normalization")],
)
def test_a_door_that_stays_open_is_named(answer, mistake):
    assert check("close_doors", answer).mistake == mistake
