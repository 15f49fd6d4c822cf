"""Chapter 12, When training and test do not match: its questions, exercise and mistakes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.ingredients import TWO_FORMULAS
from bnkit.book.observe import Probe, calls, scattered
from bnkit.book.quiz import Question, choice

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]

CHAPTER = "12_train_test_mismatch"

SIX_NUMBERS = "12_train_test_mismatch.ipynb#Six numbers by hand"
SECTION = "12_train_test_mismatch.ipynb#Two variances"


def merge(counts, means, variances):
    share = (counts / counts.sum())[:, None]  # (P, 1)
    mean = (share * means).sum(dim=0)  # (C,)
    spread = variances + (means - mean) ** 2  # of each batch, around the common mean
    return mean, (share * spread).sum(dim=0)


def _one_by_one(counts: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Chan's update: one batch after the other joins those before it."""
    count, mean, squares = 0.0, torch.zeros_like(means[0]), torch.zeros_like(means[0])
    for n, new_mean, var in zip(counts.tolist(), means, variances, strict=True):
        distance, total = new_mean - mean, count + n
        squares = squares + n * var + distance**2 * count * n / total
        mean, count = mean + distance * n / total, total
    return mean, squares / count


def _statistics(*batches: list) -> Probe:
    parts = [torch.tensor(batch) for batch in batches]
    inputs = {
        "counts": torch.tensor([float(len(part)) for part in parts]),
        "means": torch.stack([part.mean(0) for part in parts]),
        "variances": torch.stack([part.var(0, unbiased=False) for part in parts]),
    }
    return calls(inputs, ("mean", "variance"))


def _one_after_the_other(
    shift: Callable = lambda d, n, k: d * k / (n + k),
    between: Callable = lambda d, n, k: d**2 * n * k / (n + k),
    within: Callable = lambda v, k: v * k,
    first: Callable | None = None,
    keeps_count: bool = True,
) -> Callable:
    """Chan's update with a part of it changed; d is the difference of means, n and k the counts."""

    def answer(counts: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
        n, mean = counts[0], means[0]
        squares = (first or within)(variances[0], n)
        for k, m, v in zip(counts[1:], means[1:], variances[1:], strict=True):
            d = m - mean
            squares = squares + within(v, k) + between(d, n, k)
            mean = mean + shift(d, n, k)
            n = n + k if keeps_count else n
        return mean, squares / n

    return answer


_MERGE = Exercise(
    name="merge",
    chapter=CHAPTER,
    title="Unequal batches",
    statement="Write `merge(counts, means, variances)` for P batches, counts of shape (P,), means "
    "and biased variances of shape (P, C): return mean and biased variance of all "
    "examples together.",
    hints=(
        "How much should a batch of three weigh against a batch of one?",
        "Two batches may have variance 0 each and still differ. What does the variance of all "
        "examples see that neither of theirs does?",
    ),
    solution=merge,
    oracle=_one_by_one,
    probes=[
        _statistics([[1.0], [2.0], [3.0]], [[7.0]]),
        _statistics([[1.0, 4.0], [5.0, 2.0]], [[3.0, 9.0], [4.0, -1.0]]),
        _statistics([[10001.0], [10003.0]], [[10002.0], [10006.0]]),
        _statistics(
            [[0.0, 1.0], [2.0, 2.0]], [[7.0, 1.0]], [[3.0, 0.0], [4.0, 4.0], [8.0, 2.0]]
        ),
        _statistics(*(part.tolist() for part in scattered(15, 3).split([4, 1, 7, 3]))),
    ],
    mistakes=[
        Mistake("plain averages", SECTION,
            (
                "mean = (share * means).sum(dim=0) -> mean = means.mean(dim=0)",
                "(share * spread).sum(dim=0) -> variances.mean(dim=0)",
            ),
            "Two batches: one all 0, one all 10. Each has variance 0. Has their union?"),
        Mistake("batches weighted alike", SECTION,
            "(counts / counts.sum())[:, None] -> 1 / len(counts)",
            "Merge [1, 2, 3] with [7]. Does one number count as much as three?"),
        Mistake("variances taken for unbiased ones", SIX_NUMBERS,
            Patch("return mean, (share * spread).sum(dim=0)",
                  "sums = (counts[:, None] - 1) * variances\n"
                  "    sums = sums + counts[:, None] * (means - mean) ** 2\n"
                  "    return mean, sums.sum(dim=0) / (counts.sum() - 1)"),
            "By which number was each variance divided: by the count, or by one less? And by which "
            "should the result be?",
            (Patch("share * spread).sum(dim=0)",
                   "(counts[:, None] - 1) * variances).sum(dim=0) / (counts.sum() - len(counts))"
                   " + (share * (means - mean) ** 2).sum(dim=0)"),
             Patch("share * spread).sum(dim=0)",
                   "(counts[:, None] - 1) * variances).sum(dim=0) / counts.sum()"
                   " + (share * (means - mean) ** 2).sum(dim=0)"),
             Patch("share * spread).sum(dim=0)",
                   "(counts[:, None] - 1) * variances).sum(dim=0) / (counts.sum() - len(counts))"),
             Patch("share * spread).sum(dim=0)",
                   "(counts[:, None] - 1) * variances + counts[:, None] * (means - mean) ** 2)"
                   ".sum(dim=0) / counts.sum()"),
             Patch("share * spread).sum(dim=0)",
                   "(counts[:, None] - 1) * variances + counts[:, None] * (means - mean) ** 2)"
                   ".sum(dim=0) / (counts.sum() - len(counts))"))),
        Mistake("variances within the batches weighted alike", SECTION,
            "(share * spread).sum(dim=0) -> "
            "variances.mean(dim=0) + (share * (means - mean) ** 2).sum(dim=0)",
            "A batch of one has variance 0. How much should it count against one of a thousand?",
            ("(share * spread).sum(dim=0) -> variances.mean(dim=0)",
             "(share * spread).sum(dim=0) -> "
             "variances.sum(dim=0) + (share * (means - mean) ** 2).sum(dim=0)")),
        Mistake("a sum not divided by the count", SIX_NUMBERS,
            "(share * spread).sum(dim=0) -> (counts[:, None] * spread).sum(dim=0)",
            "Give every batch twice. Should mean or variance change?",
            ("(share * spread).sum(dim=0) -> (counts[:, None] * variances).sum(dim=0) + "
             "(share * (means - mean) ** 2).sum(dim=0)",
             "(share * spread).sum(dim=0) -> (share * variances).sum(dim=0) + "
             "(counts[:, None] * (means - mean) ** 2).sum(dim=0)",
             "mean = (share * means).sum(dim=0) -> mean = (counts[:, None] * means).sum(dim=0)",
             "mean = (share * means).sum(dim=0) -> mean = means.sum(dim=0)")),
        Mistake("divided by the number of batches", SIX_NUMBERS,
            "counts / counts.sum() -> counts / len(counts)",
            "Merge two batches that are both all 1. Is the mean of their union 1?",
            ("mean = (share * means).sum(dim=0) -> "
             "mean = (counts[:, None] * means).sum(dim=0) / len(counts)",
             "(share * spread).sum(dim=0) -> (counts[:, None] * spread).sum(dim=0) / len(counts)")),
        Mistake("weights squared", SIX_NUMBERS, "(share * spread) -> (share**2 * spread)",
            "Do your weights add up to 1?",
            ("mean = (share * means) -> mean = (share**2 * means)",
             "(share * spread).sum(dim=0) -> (share**2 * variances).sum(dim=0) + "
             "(share * (means - mean) ** 2).sum(dim=0)")),
        Mistake("the first two batches alone", SECTION,
            Patch("    share = ", "    counts, means, variances = counts[:2], means[:2], "
                  "variances[:2]\n    share = "),
            "There are P batches. Which of them does your result contain?"),
        Mistake("the count of the merged batches not kept", SECTION,
            _one_after_the_other(keeps_count=False),
            "How many examples do you have after the second batch has joined? Which of your lines "
            "says so?"),
        Mistake("a wrong weight in the update of the mean", SIX_NUMBERS,
            _one_after_the_other(shift=lambda d, n, k: d / 2),
            "The second batch joins the first: which share of all examples does it bring?",
            (_one_after_the_other(shift=lambda d, n, k: d * n / (n + k)),
             _one_after_the_other(shift=lambda d, n, k: d * k / n),
             _one_after_the_other(shift=lambda d, n, k: d * k),
             _one_after_the_other(shift=lambda d, n, k: d),
             _one_after_the_other(shift=lambda d, n, k: d / (n + k)))),
        Mistake("a wrong weight in the update of the variance", SECTION,
            _one_after_the_other(between=lambda d, n, k: d**2 * k / (n + k)),
            "Two batches with variance 0, 1 example at 0 and 3 at 4: compute the variance of all "
            "four by hand.",
            tuple(_one_after_the_other(between=between) for between in (
                lambda d, n, k: d**2 * n * k, lambda d, n, k: d**2 * n / (n + k),
                lambda d, n, k: d**2 * n * k / (n + k) ** 2,
                lambda d, n, k: (d * k / (n + k)) ** 2 * n, lambda d, n, k: d**2,
                lambda d, n, k: d**2 * k, lambda d, n, k: d**2 * n,
                lambda d, n, k: d**2 * (n + k), lambda d, n, k: d**2 / (n + k)))),
        Mistake("distance taken from the mean that has moved already", SECTION,
            _one_after_the_other(between=lambda d, n, k: (d * n / (n + k)) ** 2 * n * k / (n + k)),
            "In which order do you move the mean and take the distance of the next batch from it?",
            (_one_after_the_other(between=lambda d, n, k: (d * n / (n + k)) ** 2 * k),)),
        Mistake("difference of the means not squared in the update", SECTION,
            _one_after_the_other(between=lambda d, n, k: d * n * k / (n + k)),
            "Exchange the two batches. Should the variance change?",
            (_one_after_the_other(between=lambda d, n, k: d.abs() * n * k / (n + k)),)),
        Mistake("variances not multiplied by their counts", SECTION,
            _one_after_the_other(within=lambda v, k: v),
            "What must a biased variance be multiplied with to be a sum of squares?",
            (_one_after_the_other(within=lambda v, k: v, first=lambda v, k: v * k),
             _one_after_the_other(first=lambda v, k: v))),

        Mistake("one example too few in every weight", SIX_NUMBERS,
            "(counts / counts.sum()) -> ((counts - 1) / (counts - 1).sum())",
            "A batch of one example: what is its weight in your sum?",
            ("(counts / counts.sum()) -> ((counts - 1) / counts.sum())",
             "(counts / counts.sum()) -> (counts / (counts - 1).sum())")),
        Mistake("standard deviation in place of the variance", SECTION,
            Patch("(share * spread).sum(dim=0)", "(share * spread).sum(dim=0).sqrt()"),
            "The variance is asked for. What is the last thing that you do to it?"),
        Mistake("variance between batches missing", SECTION, " + (means - mean) ** 2 -> ",
            "Two batches: one all 0, one all 10. Each has variance 0. Has their union?"),
        Mistake("variance within batches missing", SECTION, "variances + (means -> (means",
            "If all batches have the same mean, is there no variance at all?"),
        Mistake("spread around the unweighted mean", SECTION,
            "(means - mean) ** 2 -> (means - means.mean(dim=0)) ** 2",
            "Your mean is right. Around which mean do you take the distances of the batch means?"),
        Mistake("means averaged without weights", SIX_NUMBERS,
            "mean = (share * means).sum(dim=0) -> mean = means.mean(dim=0)",
            "Compute the mean of [1, 2, 3, 7] from the means of [1, 2, 3] and [7]."),
        Mistake("spread of the means not weighted", SECTION,
            "(share * spread).sum(dim=0) -> "
            "(share * variances).sum(dim=0) + ((means - mean) ** 2).mean(dim=0)",
            "A batch of one far away and a batch of a thousand: how much should each distance "
            "count?",
            tuple(f"(share * spread).sum(dim=0) -> (share * variances).sum(dim=0) + {spread}"
                  for spread in ("means.var(dim=0)", "means.var(dim=0, unbiased=False)",
                                 "((means - mean) ** 2).sum(dim=0)"))),
        Mistake("divided by the count minus one", SECTION,
            Patch("spread).sum(dim=0)", "spread).sum(dim=0) * counts.sum() / (counts.sum() - 1)"),
            "The variances that you are given are biased. Which one should come out?"),
        Mistake("variance as E[x²] − E[x]²", TWO_FORMULAS,
            (
                "(means - mean) ** 2 -> means**2",
                "(share * spread).sum(dim=0) -> (share * spread).sum(dim=0) - mean**2",
            ),
            "Add 10,000 to all means, in float32. The variance should not change at all."),
        Mistake("squares of the means not centered", SECTION, "(means - mean) ** 2 -> means**2",
            "Add 10 to all means. Should the variance change?"),
        Mistake("standard deviations averaged", SECTION,
            "(share * spread).sum(dim=0) -> (share * variances.sqrt()).sum(dim=0) ** 2",
            "Which of the two adds up over examples: squared distances, or their root?",
            ("(share * spread).sum(dim=0) -> (share * variances.sqrt()).sum(dim=0) + "
             "(share * (means - mean) ** 2).sum(dim=0)",
             "(share * spread).sum(dim=0) -> (share * spread.sqrt()).sum(dim=0) ** 2",
             "(share * spread).sum(dim=0) -> (share * variances**2).sum(dim=0) + "
             "(share * (means - mean) ** 2).sum(dim=0)")),
        Mistake("weights along the wrong axis", SIX_NUMBERS, "[:, None] -> ",
            "The counts have shape (P,), the means (P, C). With which axis of the means do the "
            "counts line up?"),
        Mistake("counts in place of shares", SIX_NUMBERS, "(counts / counts.sum()) -> counts",
            "Merge two batches that are both all 1. Is the mean of their union 1?",
            ("counts / counts.sum() -> counts * counts.sum()",)),
        Mistake("merged over the features", SIX_NUMBERS, Patch("dim=0", "dim=1", all=True),
            "Two batches with three features each: how many means should come out?",
            ("means).sum(dim=0) -> means).sum(dim=1)", "spread).sum(dim=0) -> spread).sum(dim=1)")),
        Mistake("one number for all features", SIX_NUMBERS, Patch("sum(dim=0)", "sum()", all=True),
            "Two features may be measured in meters and in millimeters. How many means do two "
            "features have?",
            ("means).sum(dim=0) -> means).sum()", "spread).sum(dim=0) -> spread).sum()")),
        Mistake("variance between batches subtracted", SECTION, "variances + -> variances -",
            "Two batches that lie far apart: is their union wider or narrower than each of them?"),
        Mistake("means added, not subtracted", SECTION, "(means - mean) -> (means + mean)",
            "If all batches have the same mean, how large is the variance between them?"),
        Mistake("distances of the means not squared", SECTION,
            "(means - mean) ** 2 -> (means - mean).abs()",
            "If x is in meters, the variance is in square meters. In which unit is what you add?",
            ("** 2 -> ** 3", "** 2 -> ** 0")),
    ],
    section=SECTION,
)  # fmt: skip

EXERCISES = [_MERGE]

IN_TEXT = {
    "12-leak": Question(
        "A network with batch normalization was trained on batches of one class each. In training "
        "mode it names 80 % (made up) of new images right, if they come in batches of one class; "
        "with `eval()` 20 %. What has it learned?",
        [
            choice(
                "Nothing: the 80 % are memorized training images.",
                "The batches are new. What they have in common with the old ones is that all their "
                "labels are equal.",
            ),
            choice(
                "To recognize digits. Only the stored statistics are wrong.",
                "Then an odd image among 39 of another class would be called what it is. More "
                "often it is called like its company.",
            ),
            choice(
                "To recognize batches.",
                "The shape of a batch tells its class, and all of its images have that class. In "
                "evaluation there is no batch to read.",
                correct=True,
            ),
        ],
    ),
    "12-variances": Question(
        "Two batches, [0, 2] and [10, 12]: what is the biased variance of all four numbers?",
        [
            choice("1", "That is the part within the batches, all that batch normalization sees."),
            choice("25", "That is the part between the batches alone."),
            choice("26", "1 within the batches and 25 between them.", correct=True),
        ],
    ),
    "12-shift": Question(
        "Which change can re-estimated statistics not undo?",
        [
            choice("Contrast doubled, x to 2x.", "The factor 2 goes with the standard deviation."),
            choice("Gray veil, x to 0.5 x + 0.5.", "An affine map with a positive factor."),
            choice(
                "Half the digits inverted.",
                "No single sign fits: the units mix both.",
                correct=True,
            ),
            choice("Everything 0.2 darker, without clipping.", "A constant goes with the mean."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "After 100 steps (made up) the training loss is 0.3 and the validation accuracy 20 %. "
        "The layers use `momentum=0.001`. Statistics recomputed on training images give 88 %. "
        "What helps?",
        [
            choice(
                "Train longer: the network learns slowly.",
                "The weights are good already, as the 88 % say. More steps would help only by "
                "washing the starting values out of what is stored.",
            ),
            choice(
                "A smaller momentum, so that the statistics are less noisy.",
                "They are not noisy but wrong. With a smaller one still more of what is stored "
                "are the starting values.",
            ),
            choice(
                "Regularize: 20 % against a loss of 0.3 is overfitting.",
                "The same weights reach 88 % on the same validation images. Nothing was memorized.",
            ),
            choice(
                "A larger momentum, or recomputed statistics before each evaluation.",
                "0.999 to the power of 100 is 0.90: nine tenths of what evaluation reads are "
                "still the starting values 0 and 1. Either way that ends.",
                correct=True,
            ),
        ],
    ),
    Question(
        "Scans come from five clinics, each with its own brightness and all classes. Every "
        "training batch holds scans of one clinic. What do you expect?",
        [
            choice(
                "Nothing special: the running statistics average over the clinics.",
                "They average the means. A single clinic still lies off that center, and the "
                "spread between the clinics is missing from the running variance.",
            ),
            choice(
                "In training the brightness of a clinic is subtracted, in evaluation it is not.",
                "So the network learns on scans without it and is tested on scans with it. "
                "Mix the clinics in each batch.",
                correct=True,
            ),
            choice(
                "In both modes the layer removes the brightness of each clinic.",
                "In evaluation one stored mean serves all. It cannot be right for five.",
            ),
            choice(
                "It learns to read the class from the batch, as with batches of one class.",
                "There all labels of a batch were equal, so that the batch told the answer. Here "
                "every batch holds all classes.",
            ),
        ],
    ),
]
