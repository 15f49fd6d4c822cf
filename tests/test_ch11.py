"""Chapter 11's exercises: statistics estimated anew."""

from __future__ import annotations

import copy

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch11
from bnkit.book.exercise import first_difference, pairs
from bnkit.book.registry import EXERCISES, check


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
    result = check("reestimated", in_halves)
    assert result.passed, repr(result)


def without_reset(net, batches):
    net = copy.deepcopy(net).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
    for x in batches:
        net(x)
    return net


def test_a_plain_average_that_still_counts_the_old_batches_is_named():
    assert check("reestimated", without_reset).mistake == "old statistics not forgotten"


def test_statistics_of_all_examples_at_once_are_named():
    def at_once(net, batches):
        return in_halves(net, [torch.cat(batches)])

    assert check("reestimated", at_once).mistake == "all batches as one"


def test_the_given_network_must_keep_its_statistics():
    def on_the_network_itself(net, batches):
        net.load_state_dict(in_halves(net, batches).state_dict())
        return net

    assert check("reestimated", on_the_network_itself).mistake == "given network changed"


@pytest.mark.parametrize("name", [e.name for e in ch11.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_no_two_mistakes_together_are_right():
    exercise = EXERCISES["reestimated"]
    for first, second, answer in pairs(exercise):
        seen = zip(exercise.expected, exercise.observe(answer), strict=True)
        assert any(first_difference(*both) for both in seen), (first.name, second.name)
