"""Chapter 17: right answers in many styles, what is said of wrong ones, and its figures."""

import numpy as np
import pytest
import torch
from mutants import share_named

from bnkit.book.ch17 import (
    draw_message_times,
    merged_shards,
    ratio_table,
    shares_over_processes,
    show_code,
)
from bnkit.book.registry import EXERCISES, check


def gathered(shards, eps):
    x = torch.cat(shards)
    return [(s - x.mean(0)) / (x.var(0, correction=0) + eps) ** 0.5 for s in shards]


def two_sums(shards, eps):
    """Sum and count first, then centered squares, as processes exchange them."""
    count = sum(len(x) for x in shards)
    mean = sum(x.sum(0) for x in shards) / count
    var = sum(((x - mean) ** 2).sum(0) for x in shards) / count
    return [(x - mean) * torch.rsqrt(var + eps) for x in shards]


def by_merging(shards, eps):
    counts = torch.tensor([float(len(x)) for x in shards])
    means = torch.stack([x.mean(0) for x in shards])
    variances = torch.stack([x.var(0, unbiased=False) for x in shards])
    share = (counts / counts.sum())[:, None]
    mean = (share * means).sum(0)
    var = (share * (variances + (means - mean) ** 2)).sum(0)
    return tuple((x - mean) / torch.sqrt(var + eps) for x in shards)


def in_double(shards, eps):
    return [y.float() for y in two_sums([x.double() for x in shards], eps)]


@pytest.mark.parametrize("answer", [gathered, two_sums, by_merging, in_double])
def test_a_right_synchronized_normalization_passes_however_it_is_written(answer):
    result = check("sync", answer)
    assert result.passed, repr(result)


@pytest.mark.parametrize(
    "answer", [lambda s, e: gathered(s, e)[:1], lambda s, e: [*gathered(s, e)] * 2]
)
def test_too_few_or_too_many_outputs_are_reported(answer):
    result = check("sync", answer)
    assert result.status == "unknown"
    assert "nothing" in (result.sample.expected, result.sample.received)


def ghost(shards, eps):
    means = torch.stack([x.mean(0) for x in shards])
    spread = torch.stack([x.var(0, correction=0) for x in shards])
    return [(x - means.mean(0)) / torch.sqrt(spread.mean(0) + eps) for x in shards]


def test_a_mistake_in_synchronized_statistics_is_named():
    assert check("sync", ghost).mistake == "plain averages of the statistics"


def test_small_changes_of_the_solution_are_named():
    assert share_named(EXERCISES["sync"]) >= 0.85


def test_unbiased_variances_of_shards_are_named():
    def unbiased(shards, eps):
        n = [len(x) for x in shards]
        mean = sum(k * x.mean(0) for k, x in zip(n, shards, strict=True)) / sum(n)
        var = sum(
            k * (x.var(0) + (x.mean(0) - mean) ** 2) for k, x in zip(n, shards, strict=True)
        ) / sum(n)
        return [(x - mean) / torch.sqrt(var + eps) for x in shards]

    assert check("sync", unbiased).mistake == "unbiased variances of the shards"


def test_merged_shards_show_the_spread_of_all_values_and_averages_do_not():
    near, far = (merged_shards([[1.0, 3.0], [5.0 + s, 7.0 + s]]) for s in (0, 10))
    notes = [[text.get_text() for text in ax.texts] for ax in (near, far)]
    assert notes[0] == ["σ² = 1.00", "σ² = 1.00", "σ² = 5.00", "σ² = 1.00"]
    assert notes[1] == ["σ² = 1.00", "σ² = 1.00", "σ² = 50.00", "σ² = 1.00"]
    merged, averaged = near.patches[2:]
    np.testing.assert_allclose([merged.get_width(), averaged.get_width()], [2 * 5**0.5, 2])


def test_shares_over_processes_refuse_a_line_without_a_value_for_each():
    with pytest.raises(ValueError, match=r"'tree' got 1 values, expected 2"):
        shares_over_processes({"tree": [1.0]}, [8, 64])


def test_code_is_shown_without_its_docstring():
    def double(x):
        """Nothing to see."""
        return 2 * x

    shown = show_code(double).data
    assert "return 2 * x" in shown
    assert "Nothing" not in shown


def test_the_ratio_table_compares_times_of_one_round():
    times = {((4, 3), "synchronized"): [2.0, 6.0, 4.0], ((4, 3), "local"): [1.0, 3.0, 2.0]}
    table = ratio_table({2: times}, [(4, 3)]).data.splitlines()
    assert table == ["| processes | 4 × 3 |", "|---|---|", "| 2 | 2.0 [2.0, 2.0] |"]


def test_message_times_are_drawn_for_two_and_four_processes():
    ax = draw_message_times({p: {16: [1e-3] * 7, 128: [2e-3] * 7} for p in (1, 2, 4)})
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:2] == ["2 processes", "4 processes"]
