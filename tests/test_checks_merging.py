"""Right answers to the exercises on merged statistics, in several styles."""

import pytest
import torch

from bnkit.checks import check_merge, check_sync


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
    assert check_merge(answer).passed


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
    mean, var = weighted(counts, means, variances)
    return tuple((x - mean) / torch.sqrt(var + eps) for x in shards)


def numbers(shards, eps):
    return [y.detach() for y in two_sums([x.double() for x in shards], eps)]


@pytest.mark.parametrize("answer", [gathered, two_sums, by_merging, numbers])
def test_a_right_synchronized_normalization_passes_however_it_is_written(answer):
    result = check_sync(answer)
    assert result.passed, repr(result)


def test_an_unknown_mistake_is_told_where_the_values_part():
    def doubled_variance(counts, means, variances):
        mean, var = weighted(counts, means, variances)
        return mean, 2 * var

    result = check_merge(doubled_variance)
    assert (result.status, result.stage) == ("unknown", "variance")


@pytest.mark.parametrize(
    "answer", [lambda s, e: gathered(s, e)[:1], lambda s, e: [*gathered(s, e)] * 2]
)
def test_too_few_or_too_many_outputs_are_reported(answer):
    result = check_sync(answer)
    assert result.status == "unknown"
    assert "nothing" in (result.sample.expected, result.sample.received)
