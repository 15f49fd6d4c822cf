"""Chapter 15's exercises: folding."""

from __future__ import annotations

import copy
from itertools import combinations

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch15
from bnkit.book.exercise import Patch
from bnkit.book.registry import EXERCISES, check
from bnkit.functional import fold_batch_norm


def chapter(layer, bn):
    a = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    folded = copy.deepcopy(layer)
    folded.weight = nn.Parameter(a.view(-1, *[1] * (layer.weight.dim() - 1)) * layer.weight)
    folded.bias = nn.Parameter(a * (layer.bias - bn.running_mean) + bn.bias)
    return folded


def exercise(layer, bn):
    with_bias = copy.deepcopy(layer)
    if layer.bias is None:
        with_bias.bias = nn.Parameter(torch.zeros(len(layer.weight)))
    return chapter(with_bias, bn)


def library(layer, bn):
    if isinstance(layer, nn.Linear):
        return nn.utils.fuse_linear_bn_eval(layer, bn)
    return nn.utils.fuse_conv_bn_eval(layer, bn)


def rows(layer, bn):
    folded = copy.deepcopy(layer)
    bias = torch.zeros(len(layer.weight))
    with torch.no_grad():
        for c in range(len(bias)):
            a = bn.weight[c] / (bn.running_var[c] + bn.eps) ** 0.5
            folded.weight[c] *= a
            start = 0 if layer.bias is None else layer.bias[c]
            bias[c] = a * (start - bn.running_mean[c]) + bn.bias[c]
    folded.bias = nn.Parameter(bias)
    return folded


@pytest.mark.parametrize("answer", [fold_batch_norm, exercise, library, rows])
def test_a_right_fold_passes_however_it_is_written(answer):
    assert check("fold", answer).passed


def test_the_fold_of_the_chapter_lacks_only_layers_without_bias():
    result = check("fold", chapter)
    assert result.mistake == "layers without bias not handled"
    assert "layer.bias - bn.running_mean" in result.error


def test_a_fold_that_is_off_by_a_factor_is_told_the_factor_once_for_all_results():
    result = check("fold", lambda layer, bn: lambda x: 2 * bn(layer(x)))
    factor = "output of the folded layer and 4 other results: 2 times the right one"
    assert result.mistake == factor


def test_an_unknown_fold_shows_expected_and_received_numbers():
    result = check("fold", lambda layer, bn: lambda x: 2 * bn(layer(x)) + x.sum())
    assert result.status == "unknown"
    added = result.sample.inputs["x"].sum()
    assert torch.allclose(result.sample.received, 2 * result.sample.expected + added)


@torch.no_grad()
def forward(bn, conv):
    a = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    c = bn.bias - a * bn.running_mean
    folded = copy.deepcopy(conv)
    spread = c.view(1, -1, 1, 1).expand(-1, -1, 2, 2)
    shift = nn.functional.conv2d(spread, conv.weight, conv.bias)
    folded.bias = nn.Parameter(shift.flatten())
    folded.weight *= a[:, None, None]
    return folded


def test_a_right_fold_forward_passes():
    result = check("fold_forward", forward)
    assert result.passed, repr(result)


def other_names(**names):
    """A right fold that takes one tensor of the normalization for another."""

    def fold(layer, bn):
        tensors = {name: getattr(bn, names.get(name, name)) for name in TENSORS}
        a = tensors["weight"] / torch.sqrt(tensors["running_var"] + bn.eps)
        folded = copy.deepcopy(layer)
        bias = 0 if layer.bias is None else layer.bias
        folded.weight = nn.Parameter(a.view(-1, *[1] * (layer.weight.dim() - 1)) * layer.weight)
        folded.bias = nn.Parameter(a * (bias - tensors["running_mean"]) + tensors["bias"])
        return folded

    return fold


TENSORS = ("weight", "bias", "running_mean", "running_var")


@pytest.mark.parametrize("pair", [*combinations(TENSORS, 2)])
def test_two_tensors_of_the_normalization_in_each_other_s_place_are_seen(pair):
    assert not check("fold", other_names(**dict(zip(pair, pair[::-1], strict=True)))).passed


@pytest.mark.parametrize("name", ["fold", "fold_forward"])
def test_swapped_gamma_and_beta_are_named(name):
    swapped = Patch("bn.weight", "bn.GAMMA"), Patch("bn.bias", "bn.weight", all=True)
    answer = EXERCISES[name].build((*swapped, "bn.GAMMA -> bn.bias"))
    assert check(name, answer).mistake == "gamma and beta swapped"


def test_beta_scaled_before_a_convolution_is_not_called_forgotten():
    change = "bn.bias - a * bn.running_mean -> a * (bn.bias - bn.running_mean)"
    assert check("fold_forward", EXERCISES["fold_forward"].build(change)).mistake == (
        "beta scaled too"
    )


@pytest.mark.parametrize("name", [e.name for e in ch15.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def one_view_for_both(layer, bn):
    a = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    folded = copy.deepcopy(layer)
    folded.weight = nn.Parameter(a.view(-1, 1, 1, 1) * layer.weight)
    bias = 0 if layer.bias is None else layer.bias
    folded.bias = nn.Parameter(a * (bias - bn.running_mean) + bn.bias)
    return folded


def test_a_factor_that_fits_only_images_is_named_although_it_raises():
    assert check("fold", one_view_for_both).mistake == "factor and weight do not line up"


def in_place(layer, bn):
    folded = copy.deepcopy(layer)
    folded.weight *= 2
    return folded


def test_an_error_in_the_answer_itself_is_told_as_what_it_is():
    result = check("fold", in_place)
    assert (result.status, result.mistake) == ("raised", None)
    assert "leaf Variable" in result.error


def test_each_model_is_timed_once_in_every_round():
    models = {"a": nn.Identity(), "b": nn.Linear(2, 2)}
    seconds = ch15.seconds_by_round(models, torch.zeros(1, 2), rounds=3, calls=2)
    assert [len(each) for each in seconds.values()] == [3, 3]
    assert all(time > 0 for each in seconds.values() for time in each)


def test_a_ratio_compares_the_times_of_one_round():
    assert ch15.ratio_by_round([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_the_middle_half_is_told_as_median_and_quartiles():
    assert ch15.middle_half([1.0, 2.0, 3.0, 4.0, 5.0]) == "3.00 [2.00, 4.00]"
