"""Chapter 9, Regularization: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from matplotlib.axes import Axes

from bnkit.book.evidence import Difference, paired_difference
from bnkit.book.exercise import Exercise, Mistake
from bnkit.book.observe import calls
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, new_axes

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "best_runs",
    "effect",
    "gain",
    "mean_of",
    "noise_by_size",
]

CHAPTER = "09_regularization"

NOISE = "09_regularization.ipynb#The size of the noise"


def halving_batch(batch_size, total):
    if math.isinf(total):
        return 4 * batch_size
    # The noise is (total - N) / ((total - 1) N), proportional to total / N - 1.
    return total / (1 + (total / batch_size - 1) / 4)


def _by_variance(batch_size: float, total: float) -> float:
    """The variance of a mean is proportional to 1/N - 1/total; a quarter of it halves the noise."""
    rest = 1 / total  # 0 where the total is infinite
    return 1 / ((1 / batch_size - rest) / 4 + rest)


_SOLVED = "total / (1 + (total / batch_size - 1) / 4)"
_HALVING_BATCH = Exercise(
    name="halving_batch",
    chapter=CHAPTER,
    title="Halve the noise",
    statement="Write `halving_batch(batch_size, total)`: return the batch size (it need not be "
    "whole) that halves the noise, the standard deviation of the batch mean, if batches "
    "are drawn without replacement from `total` examples. `total` may be `math.inf`.",
    hints=(
        "Half the standard deviation is which part of the variance?",
        "Without replacement the variance is proportional to `(total - N) / N`. Solve for N.",
        "Check the ends: with plentiful data you know the answer, and it can never exceed `total`.",
    ),
    solution=halving_batch,
    oracle=_by_variance,
    probes=[
        calls({"batch_size": size, "total": total}, ("batch size",))
        for size, total in ((32.0, math.inf), (32.0, 100.0), (10.0, 1000.0))
    ],
    mistakes=[
        Mistake("batch doubled", NOISE,
            ("4 * batch_size -> 2 * batch_size", f"{_SOLVED} -> 2 * batch_size"),
            "The variance of a mean falls like 1/N. What about its root, the noise?"),
        Mistake("finite data forgotten", NOISE, f"{_SOLVED} -> 4 * batch_size",
            "Take all examples. How much does the mean of such a batch vary, and what does your "
            "formula say?"),
        Mistake("variance halved", NOISE,
            ("4 * batch_size -> 2 * batch_size", "- 1) / 4 -> - 1) / 2"),
            "Half the noise is half the standard deviation. Which part of the variance is that?",
            ("- 1) / 4 -> - 1) / 2",)),
        Mistake("capped at the total", NOISE, f"{_SOLVED} -> min(4 * batch_size, total)",
            "The answer bends towards `total` long before it reaches it. Solve the condition for "
            "N."),
        Mistake("another factor for plentiful data", NOISE, "4 * batch -> 2 * batch",
            "For plentiful data the noise is σ / √N. Which multiple of N halves it?",
            ("4 * batch -> 16 * batch", "4 * batch -> 5 * batch", "4 * batch -> 1 * batch",
             "4 * batch -> 0 * batch", "4 * batch -> 4 / batch")),
        Mistake("variance not quartered", NOISE, "- 1) / 4 -> - 1)",
            "Put your N into the formula of the noise. Which part of the old noise is it?",
            ("- 1) / 4 -> - 1) * 4", "- 1) / 4 -> - 1) / 5", "- 1) / 4 -> - 1) / 0")),
        Mistake("all examples do not stay all examples", NOISE, "(total / batch_size - 1) -> "
            "(total / batch_size)",
            "Put batch_size = total. There is no noise left to halve. What comes out?",
            ("batch_size - 1) -> batch_size + 1)", "batch_size - 1) -> batch_size - 2)",
             "(1 + ( -> (2 + (", "(1 + ( -> (0 + (", "total / batch -> total * batch")),
        Mistake("condition not solved for N", NOISE, "(1 + ( -> (1 - (",
            "Call your result N. Is total / N − 1 a quarter of total / batch_size − 1?",
            ("total / (1 -> total * (1",)),
    ],
    section=NOISE,
)  # fmt: skip

EXERCISES = [_HALVING_BATCH]

IN_TEXT = {
    "09-noise": Question(
        r"Of a huge data set, which batch size gives the mean an error of \(\sigma / 10\)?",
        [
            choice(
                "10", r"The error falls with the square root: \(1/\sqrt{10}\) is about a third."
            ),
            choice("100", r"\(1/\sqrt{100} = 1/10\).", correct=True),
            choice("200", r"That is for the variance of a Gaussian, \(\sqrt{2/N}\)."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "To find out whether batch noise regularizes, a colleague trains with batches of 16 "
        "and of 512 and compares test accuracies. What is the flaw?",
        [
            choice(
                "None: the larger batch has less noise in its statistics.",
                "It has. It also has fewer steps and a less noisy gradient, and you cannot "
                "tell which of the three did it.",
            ),
            choice(
                "Three things change. Keep the batch and take the statistics over groups "
                "within it.",
                "Groups of 16 inside the batch of 512 change the statistics alone.",
                correct=True,
            ),
            choice(
                "The noise should be measured in eval mode.",
                "In eval mode the statistics are constants. There is no noise to measure.",
            ),
            choice(
                "The learning rate should be the same for both.",
                "It should be good for each. And even then the number of steps differs.",
            ),
        ],
    ),
    Question(
        "A unit takes the values 0 and 2 equally often, so its variance is 1. Dropout with p "
        "= 0.5 is put in front of the batch normalization that receives it. Which variance "
        "does the layer see in training?",
        answer=3.0,
        feedback={
            "right": "Dropped or doubled, the values are 0, 0, 0 and 4: mean 1, mean square "
            "4. At test time the true variance is 1, and the stored one is 3.",
            "wrong": "List the four equally likely values: each is dropped, or doubled.",
            1: "The mean is kept. The variance is not: values of 0 and 4 lie further apart.",
            4: "That is the mean square, or the doubled values without the dropped ones. Take "
            "the mean of 1 into account.",
            2: r"That is the increase, \( \frac{p}{1-p} \mathrm{E}[x^2] \). Add it to what was "
            "there.",
        },
    ),
]


# Harness and figure of the chapter


Run = Mapping[str, float]  # measures of one training run, by name


def mean_of(runs: Sequence[Run], key: str) -> float:
    """The mean of one measure over runs."""
    return sum(run[key] for run in runs) / len(runs)


def best_runs(run: Callable[..., Run], rates: Sequence[float], seeds: Sequence[int]) -> list[Run]:
    """The runs of all seeds at the learning rate with the best mean accuracy on test digits."""
    tried = [[run(seed=seed, lr=lr) for seed in seeds] for lr in rates]
    return max(tried, key=lambda runs: mean_of(runs, "test"))


def gain(after: Sequence[Run], before: Sequence[Run], key: str = "test") -> Difference:
    """What a change gains, paired by seed; positive is better, in accuracy and in the loss."""
    sign = -1 if key == "loss" else 1
    return paired_difference([sign * r[key] for r in after], [sign * r[key] for r in before])


def effect(after: Sequence[Run], before: Sequence[Run]) -> str:
    """What a change does to accuracy and loss on test digits, in words."""
    accuracy = gain(after, before)
    loss = gain(before, after, "loss")  # a loss that falls is a negative change
    return f"{accuracy:+.1f} points of accuracy and {loss:+.2f} in the loss"


def noise_by_size(measured: Sequence, formula: Sequence, sizes: Sequence[int]) -> Axes:
    """Noise of batch mean and variance, a pair for each size: dots measured, lines by formula."""
    ax, sizes = new_axes(), torch.tensor(sizes)
    measured, formula = torch.tensor(measured), torch.tensor(formula)  # (sizes, 2)
    looks = (("mean (in σ)", "bn", "-", "o"), ("variance (relative)", "other", "--", "v"))
    for i, (name, color, line, marker) in enumerate(looks):
        noise, exact, color = measured[:, i], formula[:, i], COLORS[color]
        shown = exact > 0  # a logarithmic axis has no zero
        ax.plot(sizes[shown], exact[shown], line, color=color)
        ax.plot(sizes[shown], noise[shown], marker, color=color, label=name)
    ax.set(xscale="log", yscale="log", xlabel="batch size", ylabel="standard deviation")
    ax.set_xticks(sizes[::2], [str(size.item()) for size in sizes[::2]])
    ax.minorticks_off()
    ax.legend()
    return ax
