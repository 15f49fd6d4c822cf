"""Chapter 13's exercises: layer norm, group norm and the family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mutants import share_named
from torch.nn import functional as F

from bnkit import plots
from bnkit.book import ch13
from bnkit.book.registry import EXERCISES, check


def library(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[1:], weight, bias, eps)


def equations(x, weight, bias, eps):
    mu = x.mean(1, keepdim=True)
    var = ((x - mu) ** 2).mean(1, keepdim=True)
    return weight * (x - mu) / torch.sqrt(var + eps) + bias


def turned(x, weight, bias, eps):
    y = (x.T - x.mean(1)) / (x.var(1, unbiased=False) + eps) ** 0.5
    return y.T * weight + bias


def one_group(x, weight, bias, eps):
    return F.group_norm(x.double(), 1, weight.double(), bias.double(), eps)


@pytest.mark.parametrize("answer", [library, equations, turned, one_group])
def test_a_right_layer_norm_passes_however_it_is_written(answer):
    assert check("layer_norm", answer).passed


def test_an_unknown_layer_norm_is_told_where_the_values_part():
    def tripled(x, weight, bias, eps):
        mu = x.mean(1, keepdim=True)
        var = 3 * x.var(1, unbiased=False, keepdim=True)
        return weight * (x - mu) / torch.sqrt(var + eps) + bias

    assert check("layer_norm", tripled).stage == "variance"


def by_group(x, num_groups, weight, bias, eps):
    parts = []
    for part in x.chunk(num_groups, dim=1):
        flat = part.flatten(1)
        flat = (flat - flat.mean(1, keepdim=True)) / (
            flat.var(1, unbiased=False, keepdim=True) + eps
        ).sqrt()
        parts.append(flat.view_as(part))
    return torch.cat(parts, 1) * weight[:, None, None] + bias[:, None, None]


def viewed(x, num_groups, weight, bias, eps):
    n, c, h, w = x.shape
    rows = x.reshape(n * num_groups, -1)
    y = F.layer_norm(rows, rows.shape[1:], eps=eps).view(n, c, h, w)
    return y * weight.view(1, c, 1, 1) + bias.view(1, c, 1, 1)


@pytest.mark.parametrize("answer", [F.group_norm, by_group, viewed])
def test_a_right_group_norm_passes_however_it_is_written(answer):
    assert check("group_norm", answer).passed


def chapter(x, groups, over_batch):
    split = x.unflatten(1, (groups, -1))
    dims = (0, 2, 3) if over_batch else (2, 3)
    mu = split.mean(dims, keepdim=True)
    var = ((split - mu) ** 2).mean(dims, keepdim=True)
    return ((split - mu) / torch.sqrt(var + 1e-5)).flatten(1, 2)


def test_the_family_of_the_chapter_passes():
    assert check("family", chapter).passed


@pytest.mark.parametrize("name", [e.name for e in ch13.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_an_averaged_axis_that_is_not_kept_is_named_although_it_raises():
    def flat_mean(x, weight, bias, eps):
        mean = x.mean(1)
        return weight * (x - mean) / torch.sqrt(x.var(1, False, keepdim=True) + eps) + bias

    def flat_means(x, groups, over_batch):
        split = x.unflatten(1, (groups, -1))
        dims = (0, 2, 3) if over_batch else (2, 3)
        centered = split - split.mean(dims)
        return (centered / (split.var(dims, False, keepdim=True) + 1e-5).sqrt()).flatten(1, 2)

    assert check("layer_norm", flat_mean).mistake == "averaged axis not kept"
    assert check("family", flat_means).mistake == "averaged axes not kept"


def test_entries_that_share_a_mean_have_one_color_and_one_letter():
    groups = np.array([[[0, 0, 0], [1, 1, 1]]])  # (N, C, L) = (1, 2, 3)
    values = np.arange(6.0).reshape(1, 2, 3)
    block, table = plots.sharing(values, groups, fmt="{:.0f}").axes
    assert len({patch.get_facecolor() for patch in table.patches}) == 2
    assert [text.get_text() for text in table.texts][:4] == ["0", "a", "1", "a"]
    assert {text.get_text() for text in block.texts} == {"a", "b", "N", "C", "L"}


def test_eight_sets_have_eight_colors():
    groups = np.arange(8).reshape(2, 4, 1)  # instance normalization of two examples
    table = plots.sharing_table(np.zeros((2, 4, 1)), groups)
    assert len({patch.get_facecolor() for patch in table.patches}) == 8


def test_values_and_groups_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        plots.sharing_table(np.ones((1, 2, 3)), np.zeros((1, 2, 2), dtype=int))


def test_a_mean_and_its_spread_do_not_part_at_the_end_of_a_line():
    assert ch13.mean_and_spread([1.0, 2.0, 3.0]) == "2.0\u00a0±\u00a01.0"
