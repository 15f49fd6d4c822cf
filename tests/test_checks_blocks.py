"""Right blocks, closed doors and re-estimated copies pass in any style; so does a right clinic."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bnkit.checks import (
    check_close_doors,
    check_reestimated,
    check_shift_check,
    check_skip_block,
)


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
    result = check_skip_block(answer)
    assert result.passed, repr(result)


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
    result = check_close_doors(answer)
    assert result.passed, repr(result)


def in_halves(net, batches):
    twin = copy.deepcopy(net).train()
    norms = [m for m in twin.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
    for t, x in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 / t
        twin(x).detach()
    return twin


def test_a_right_copy_passes():
    result = check_reestimated(in_halves)
    assert result.passed, repr(result)


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
    result = check_shift_check(answer)
    assert result.passed, repr(result)


def test_a_check_that_finds_fault_with_a_healthy_layer_does_not_pass():
    result = check_shift_check(lambda make: 1.0)
    assert (result.status, result.stage) == ("unknown", "error of a healthy layer")
