"""Chapter 12's exercises: merged statistics."""

from __future__ import annotations

import pytest
import torch
from mutants import share_named

from bnkit.book import ch12
from bnkit.book.exercise import first_difference, pairs
from bnkit.book.registry import EXERCISES, check


def weighted(counts, means, variances):
    w = (counts / counts.sum()).unsqueeze(1)
    mu = (w * means).sum(dim=0)
    return mu, (w * (variances + (means - mu) ** 2)).sum(dim=0)


def pairwise(counts, means, variances):
    """One batch after the other, as Chan et al. do."""
    n, mean, squares = counts[0], means[0], counts[0] * variances[0]
    for m, mu, var in zip(counts[1:], means[1:], variances[1:], strict=True):
        delta, total = mu - mean, n + m
        mean = mean + delta * m / total
        squares = squares + m * var + delta**2 * n * m / total
        n = total
    return mean, squares / n


def matrix(counts, means, variances):
    w = (counts / counts.sum()).double()
    mean = w @ means.double()
    return [mean, w @ (variances.double() + (means.double() - mean).square())]


def loops(counts, means, variances):
    total, columns = counts.sum().item(), range(means.shape[1])
    mean = [sum(n * m for n, m in zip(counts, means[:, j], strict=True)) / total for j in columns]
    var = []
    for j in columns:
        parts = zip(counts, means[:, j], variances[:, j], strict=True)
        var.append(sum(n * (v + (m - mean[j]) ** 2) for n, m, v in parts) / total)
    return torch.stack(mean), torch.stack(var)


@pytest.mark.parametrize("answer", [weighted, pairwise, matrix, loops])
def test_a_right_merge_passes_however_it_is_written(answer):
    assert check("merge", answer).passed


def test_a_variance_that_is_off_by_a_factor_is_told_the_factor():
    def doubled_variance(counts, means, variances):
        mean, var = weighted(counts, means, variances)
        return mean, 2 * var

    assert check("merge", doubled_variance).mistake == "variance: 2 times the right one"


def test_an_unknown_mistake_is_told_where_the_values_part():
    def odd_variance(counts, means, variances):
        mean, var = weighted(counts, means, variances)
        return mean, var + mean**3 / 7

    result = check("merge", odd_variance)
    assert (result.status, result.stage) == ("unknown", "variance")


def unshaped(counts, means, variances):
    w = counts / counts.sum()
    mean = (w * means).sum(dim=0)
    return mean, (w * (variances + (means - mean) ** 2)).sum(dim=0)


def sums(counts, means, variances):
    w = counts[:, None]
    mean = (w * means).sum(dim=0)
    return mean, (w * (variances + (means - mean) ** 2)).sum(dim=0)


WRONG = {
    "weights along the wrong axis": unshaped,
    "counts in place of shares": sums,
    "plain averages": lambda counts, means, variances: (means.mean(0), variances.mean(0)),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_merge_is_named(mistake):
    assert check("merge", WRONG[mistake]).mistake == mistake


@pytest.mark.parametrize("name", [e.name for e in ch12.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_no_two_mistakes_together_are_right():
    exercise = EXERCISES["merge"]
    for first, second, answer in pairs(exercise):
        seen = zip(exercise.expected, exercise.observe(answer), strict=True)
        assert any(first_difference(*both) for both in seen), (first.name, second.name)
