"""Known mistakes in merging statistics, as data."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bnkit.checks.exercise import Mistake

__all__ = ["MERGE", "SYNC"]

TWO_VARIANCES = "12_train_test_mismatch.ipynb#Two variances"
BY_HAND = "12_train_test_mismatch.ipynb#Six numbers by hand"
WRONG_GRADIENTS = "04_backward.ipynb#Four wrong versions"


def _share(counts):
    return (counts / counts.sum())[:, None]


def _plain(counts, means, variances):
    return means.mean(0), variances.mean(0)


def _unweighted(counts, means, variances):
    mean = means.mean(0)
    return mean, (variances + (means - mean).square()).mean(0)


def _within(counts, means, variances):
    return (_share(counts) * means).sum(0), (_share(counts) * variances).sum(0)


def _between(counts, means, variances):
    mean = (_share(counts) * means).sum(0)
    return mean, (_share(counts) * (means - mean).square()).sum(0)


def _around_wrong_mean(counts, means, variances):
    spread = (means - means.mean(0)).square()
    return (_share(counts) * means).sum(0), (_share(counts) * (variances + spread)).sum(0)


def _means_unweighted(counts, means, variances):
    mean = means.mean(0)
    return mean, (_share(counts) * (variances + (means - mean).square())).sum(0)


def _between_unweighted(counts, means, variances):
    mean = (_share(counts) * means).sum(0)
    return mean, (_share(counts) * variances).sum(0) + (means - mean).square().mean(0)


def _unbiased(counts, means, variances):
    mean = (_share(counts) * means).sum(0)
    squares = (counts[:, None] * (variances + (means - mean).square())).sum(0)
    return mean, squares / (counts.sum() - 1)


def _squares(counts, means, variances):
    mean = (_share(counts) * means).sum(0)
    return mean, (_share(counts) * (variances + means.square())).sum(0) - mean.square()


def _not_subtracted(counts, means, variances):
    mean = (_share(counts) * means).sum(0)
    return mean, (_share(counts) * (variances + means.square())).sum(0)


def _deviations(counts, means, variances):
    mean = (_share(counts) * means).sum(0)
    return mean, (_share(counts) * variances.sqrt()).sum(0).square()


MERGE = [
    Mistake(
        "plain averages", "merge", _plain,
        "Two batches: one all 0, one all 10. Each has variance 0. Has their union?",
        TWO_VARIANCES,
    ),
    Mistake(
        "batches weighted alike", "merge", _unweighted,
        "Merge [1, 2, 3] with [7]. Does one number count as much as three?", TWO_VARIANCES,
    ),
    Mistake(
        "variance between batches missing", "merge", _within,
        "Two batches: one all 0, one all 10. Each has variance 0. Has their union?",
        TWO_VARIANCES,
    ),
    Mistake(
        "variance within batches missing", "merge", _between,
        "If all batches have the same mean, is there no variance at all?", TWO_VARIANCES,
    ),
    Mistake(
        "spread around the unweighted mean", "merge", _around_wrong_mean,
        "Your mean is right. Around which mean do you take the distances of the batch means?",
        TWO_VARIANCES,
    ),
    Mistake(
        "means averaged without weights", "merge", _means_unweighted,
        "Compute the mean of [1, 2, 3, 7] from the means of [1, 2, 3] and [7].", BY_HAND,
    ),
    Mistake(
        "spread of the means not weighted", "merge", _between_unweighted,
        "A batch of one far away and a batch of a thousand: how much should each distance count?",
        TWO_VARIANCES,
    ),
    Mistake(
        "divided by the count minus one", "merge", _unbiased,
        "The variances that you are given are biased. Which one should come out?", TWO_VARIANCES,
    ),
    Mistake(
        "variance as E[x²] − E[x]²", "merge", _squares,
        "Add 10,000 to all means, in float32. The variance should not change at all.",
        "02_equations.ipynb#Two formulas for the variance, one of them dangerous",
    ),
    Mistake(
        "squares of the means not centered", "merge", _not_subtracted,
        "Add 10 to all means. Should the variance change?", TWO_VARIANCES,
    ),
    Mistake(
        "standard deviations averaged", "merge", _deviations,
        "Which of the two adds up over examples: squared distances, or their root?",
        TWO_VARIANCES,
    ),
]  # fmt: skip


def _with(statistics: Callable) -> Callable:
    """Every shard normalized with statistics of all of them."""

    def sync(shards, eps):
        mean, var = statistics(shards)
        return [(x - mean) / torch.sqrt(var + eps) for x in shards]

    return sync


def _merged_by(merge: Callable) -> Callable:
    def statistics(shards):
        counts = torch.tensor([float(len(x)) for x in shards])
        means = torch.stack([x.mean(0) for x in shards])
        return merge(counts, means, torch.stack([x.var(0, unbiased=False) for x in shards]))

    return _with(statistics)


def _alone(shards, eps):
    return [(x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps) for x in shards]


def _one_pass(shards):
    count = sum(len(x) for x in shards)
    mean = sum(x.sum(0) for x in shards) / count
    return mean, sum((x * x).sum(0) for x in shards) / count - mean * mean


def _of_all(shards, unbiased=False):
    x = torch.cat(list(shards))
    return x.mean(0), x.var(0, unbiased=unbiased)


def _only_own_gradient(shards, eps):
    outputs = []
    for i, shard in enumerate(shards):
        mean, var = _of_all([x if i == j else x.detach() for j, x in enumerate(shards)])
        outputs.append((shard - mean) / torch.sqrt(var + eps))
    return outputs


def _eps_outside(shards, eps):
    mean, var = _of_all(shards)
    return [(x - mean) / (torch.sqrt(var) + eps) for x in shards]


SYNC = [
    Mistake(
        "every process on its own", "sync", _alone,
        "Move one number of the first shard. Do the outputs of the second change?", BY_HAND,
    ),
    Mistake(
        "plain averages of the statistics", "sync", _merged_by(_plain),
        "Two shards: one all 0, one all 10. Which variance do all numbers have together?",
        TWO_VARIANCES,
    ),
    Mistake(
        "variances averaged", "sync", _merged_by(_within),
        "Two shards: one all 0, one all 10. Which variance do all numbers have together?",
        TWO_VARIANCES,
    ),
    Mistake(
        "uneven shards weighted alike", "sync", _merged_by(_unweighted),
        "Shards of 2 and of 1: does the single example count as much as the pair?", TWO_VARIANCES,
    ),
    Mistake(
        "variance as E[x²] − E[x]²", "sync", _with(_one_pass),
        "Add 10,000 to every input, in float32. Sum and count first: what can you subtract "
        "before you square?",
        "02_equations.ipynb#Two formulas for the variance, one of them dangerous",
    ),
    Mistake(
        "unbiased variance in the forward pass", "sync", _with(lambda s: _of_all(s, True)),
        "By which number does your variance divide: all examples, or one fewer?",
        "02_equations.ipynb#Which variance? A batch of two decides",
    ),
    Mistake(
        "detached statistics", "sync", _with(lambda shards: _of_all([x.detach() for x in shards])),
        "The outputs are right. Does each x also act through the mean and the variance?",
        WRONG_GRADIENTS,
    ),
    Mistake(
        "gradient of the other shards lost", "sync", _only_own_gradient,
        "The outputs are right. Should the loss of one process send a gradient to the inputs of "
        "another?", "04_backward.ipynb#One row matters, all rows move",
    ),
    Mistake(
        "epsilon outside the root", "sync", _eps_outside,
        "Is epsilon added to a variance or to a standard deviation?",
        "02_equations.ipynb#Epsilon: what happens when nothing varies",
    ),
]  # fmt: skip
