"""Chapter 3's exercises: running statistics, conversions and frozen layers."""

from __future__ import annotations

import pytest
import torch
from mutants import share_named
from torch import nn
from torch.nn import functional as F

from bnkit.book import ch03
from bnkit.book.registry import EXERCISES, check


def textbook(running_mean, running_var, x, momentum):
    running_mean = (1 - momentum) * running_mean + momentum * x.mean(dim=0)
    running_var = (1 - momentum) * running_var + momentum * x.var(dim=0)
    return running_mean, running_var


def in_place(mean, var, x, m):
    mean += m * (x.mean(0) - mean)
    var += m * (x.var(0) - var)
    return mean, var


def from_biased(rm, rv, batch, alpha):
    n = batch.shape[0]
    var = ((batch - batch.mean(0)) ** 2).mean(0) * n / (n - 1)
    return torch.lerp(rm, batch.mean(0), alpha), torch.lerp(rv, var, alpha)


def library(rm, rv, x, momentum):
    F.batch_norm(x, rm, rv, training=True, momentum=momentum)
    return rm, rv


def loops(rm, rv, x, m):
    n, mean, var = len(x), [], []
    for j in range(x.shape[1]):
        column = x[:, j].tolist()
        mu = sum(column) / n
        mean.append((1 - m) * rm[j].item() + m * mu)
        var.append((1 - m) * rv[j].item() + m * sum((v - mu) ** 2 for v in column) / (n - 1))
    return mean, var


def in_double(rm, rv, x, m):
    return [a.double() * (1 - m) + m * b for a, b in ((rm, x.mean(0)), (rv, x.double().var(0)))]


@pytest.mark.parametrize("answer", [textbook, in_place, from_biased, library, loops, in_double])
def test_a_right_update_passes_however_it_is_written(answer):
    assert check("running_statistics", answer).passed


def test_a_statistic_that_is_twice_the_right_one_is_told_so():
    def doubled(rm, rv, x, m):
        return textbook(rm, rv, x, m)[0], 2 * textbook(rm, rv, x, m)[1]

    assert "running_var: 2 times" in check("running_statistics", doubled).mistake


def test_a_right_conversion_passes():
    assert check("to_pytorch", lambda keras: 1.0 - keras).passed
    assert check("to_pytorch", lambda keras: torch.tensor(1 - keras)).passed


def test_a_right_correction_passes():
    def weighted(means, m):  # weights that add up to 1
        rows = []
        for t in range(1, len(means) + 1):
            weights = (1 - m) ** torch.arange(t - 1, -1, -1.0)
            rows.append((weights[:, None] * means[:t]).sum(0) / weights.sum())
        return rows

    assert check("corrected_mean", weighted).passed


def test_a_right_freeze_passes():
    def freeze(model):
        for layer in model.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                layer.track_running_stats = False
                layer.eval()

    assert check("freeze", freeze).passed


def frozen_by(act):
    def freeze(model):
        for layer in model.modules():
            act(layer)

    return check("freeze", freeze).mistake


def test_a_freeze_that_does_not_act_is_told_from_one_that_fixes_parameters():
    assert frozen_by(lambda layer: None) == "nothing frozen"
    assert frozen_by(lambda layer: layer.requires_grad_(False)) == "requires_grad taken for frozen"


@pytest.mark.parametrize("one", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_a_freeze_of_one_class_of_layers_is_named(one):
    named = frozen_by(lambda layer: layer.eval() if isinstance(layer, one) else None)
    assert named == "only one of the three classes"


def test_a_nested_layer_is_seen_to_move_whatever_dropout_leaves_of_its_input():
    def freeze(model):
        model[1].eval()

    probe = EXERCISES["freeze"].probes[0]
    for seed in range(64):  # one in sixteen draws leaves nothing but zeros
        torch.manual_seed(seed)
        assert probe.run(freeze)["statistics of images in a block"] == "move"


def keras(mean, var, x, m):
    mean.mul_(m).add_((1 - m) * x.mean(0))
    var.mul_(m).add_((1 - m) * x.var(0))
    return mean, var


def population(mean, var, x, m):
    for j in range(x.shape[1]):
        column = x[:, j].tolist()
        mu = sum(column) / len(column)
        mean[j] += m * (mu - mean[j])
        var[j] += m * (sum((v - mu) ** 2 for v in column) / len(column) - var[j])
    return mean, var


def test_a_mistake_in_the_running_statistics_is_named():
    assert check("running_statistics", keras).mistake == "momentum on the wrong side"
    assert check("running_statistics", population).mistake == "biased running variance"


@pytest.mark.parametrize("name", [e.name for e in ch03.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85
