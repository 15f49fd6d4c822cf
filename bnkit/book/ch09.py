"""Chapter 9, Regularization: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor, nn

from bnkit.book.evidence import Difference, paired_difference
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import calls
from bnkit.book.quiz import Question, choice
from bnkit.book.tuning import Tuning
from bnkit.plots import COLORS, new_axes

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "MARGINS",
    "QUESTIONS",
    "best_temperature",
    "gain",
    "mean_of",
    "noise_by_size",
    "outputs_on",
    "percent",
    "run_at_best_rate",
    "search_rates",
    "strongest",
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
    statement="Write `halving_batch(batch_size, total)`: return the batch size, not rounded to a "
    "whole number, that halves the noise, the standard deviation of the batch mean, if batches "
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
        for size, total in (
            *((32.0, math.inf), (32.0, 100.0), (10.0, 1000.0)),
            *((7.0, math.inf), (60.0, 90.0), (3.0, 50.0)),
        )
    ],
    mistakes=[
        Mistake("batch doubled", NOISE,
            ("4 * batch_size -> 2 * batch_size", f"{_SOLVED} -> 2 * batch_size"),
            "The variance of a mean falls like 1/N. What about its root, the noise?",
            (f"{_SOLVED} -> 2 * batch_size",)),
        Mistake("finite data forgotten", NOISE, f"{_SOLVED} -> 4 * batch_size",
            "Take all examples. How much does the mean of such a batch vary, and what does your "
            "formula say?"),
        Mistake("infinite data not handled", NOISE,
            Patch("math.isinf(total)", "total is None"),
            "Put total = math.inf into your formula. Is inf / inf a number?",
            ((Patch("math.isinf(total)", "total is None"),
              f"{_SOLVED} -> 4 * batch_size * (total / (total + 3 * batch_size))"),
             Patch("return 4 * batch_size", "return total"))),
        Mistake("rounded", NOISE, (f"{_SOLVED} -> round({_SOLVED})"),
            "The noise should be halved exactly. Is a whole number asked for?",
            (f"{_SOLVED} -> math.ceil({_SOLVED})", f"{_SOLVED} -> math.floor({_SOLVED})")),
        Mistake("variance halved", NOISE,
            ("4 * batch_size -> 2 * batch_size", "- 1) / 4 -> - 1) / 2"),
            "Half the noise is half the standard deviation. Which part of the variance is that?",
            ("- 1) / 4 -> - 1) / 2",)),
        Mistake("capped at the total", NOISE, f"{_SOLVED} -> min(4 * batch_size, total)",
            "The answer bends towards `total` long before it reaches it. Solve the condition for "
            "N.", (f"{_SOLVED} -> min(2 * batch_size, total)",)),
        Mistake("noise doubled, not halved", NOISE,
            ("4 * batch_size -> batch_size / 4", "- 1) / 4 -> - 1) * 4"),
            "Does a smaller batch have less noise?",
            (("4 * batch_size -> batch_size / 4", f"{_SOLVED} -> batch_size / 4"),
             ("4 * batch_size -> batch_size / 2", f"{_SOLVED} -> batch_size / 2"),
             ("4 * batch_size -> batch_size / 2", "- 1) / 4 -> - 1) * 2"))),
        Mistake("another factor for plentiful data", NOISE, "4 * batch -> 2 * batch",
            "For plentiful data the noise is σ / √N. Which multiple of N halves it?",
            ("4 * batch -> 16 * batch", "4 * batch -> 5 * batch", "4 * batch -> 1 * batch",
             "4 * batch -> 0 * batch", "4 * batch -> 4 / batch",
             *((f"4 * batch_size -> {n}", f"{_SOLVED} -> {n}") for n in (
                 "batch_size**2", "16 * batch_size", "math.sqrt(2) * batch_size",
                 "8 * batch_size", "batch_size * math.sqrt(batch_size)")))),
        Mistake("variance not quartered", NOISE, "- 1) / 4 -> - 1)",
            "Put your N into the formula of the noise. Which part of the old noise is it?",
            ("- 1) / 4 -> - 1) * 4", "- 1) / 4 -> - 1) / 5", "- 1) / 4 -> - 1) / 0",
             "- 1) / 4 -> - 1) / 16", "- 1) / 4 -> - 1) / 3", "- 1) / 4 -> - 1) / 8",
             ("4 * batch -> 16 * batch", "- 1) / 4 -> - 1) / 16"),
             "- 1) / 4 -> - 1) / math.sqrt(2)",
             ("4 * batch -> 2**0.5 * batch", "- 1) / 4 -> - 1) / 2**0.5"))),
        Mistake("all examples do not stay all examples", NOISE, "(total / batch_size - 1) -> "
            "(total / batch_size)",
            "Put batch_size = total. There is no noise left to halve. What comes out?",
            ("batch_size - 1) -> batch_size + 1)", "batch_size - 1) -> batch_size - 2)",
             "(1 + ( -> (2 + (", "(1 + ( -> (0 + (", "total / batch -> total * batch",
             *(f"{_SOLVED} -> {formula}" for formula in (
                 "4 * batch_size * (total - batch_size) / total",
                 "4 * batch_size * (total - batch_size) / (total - 1)",
                 "4 * batch_size * (total - 1) / (total - 1 + 4 * batch_size)",
                 "4 * batch_size * (total - 1) / (total - 1 + 3 * batch_size)",
                 "4 * batch_size * total / (total + 2 * batch_size)",
                 "4 * batch_size * total / (total + batch_size)",
                 "4 * batch_size * total / (total + 3)",
                 "4 * batch_size * total / (total - batch_size)",
                 "4 * batch_size * (1 - batch_size / total) ** 0.5",
                 "4 * batch_size * (1 - 4 * batch_size / total)",
                 "4 * batch_size * (1 + batch_size / total)",
                 "4 * batch_size / (1 - batch_size / total)",
                 "total - (total - batch_size) / 4", "total - (total - batch_size) / 2",
                 "(batch_size + total) / 2")))),
        Mistake("condition not solved for N", NOISE, "(1 + ( -> (1 - (",
            "Call your result N. Is total / N − 1 a quarter of total / batch_size − 1?",
            ("total / (1 -> total * (1", f"{_SOLVED} -> 1 / ({_SOLVED})",
             f"{_SOLVED} -> {_SOLVED} / total", f"{_SOLVED} -> (total / batch_size - 1) / 4",
             f"{_SOLVED} -> 4 * batch_size * total / (total - 3 * batch_size)")),
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
Sides = Mapping[str, Mapping]  # options of a run, by the name of the side

MARGINS = {"test": 0.3, "loss": 0.01}  # differences that do not matter
UNITS = {"test": "points", "loss": "nats"}


def mean_of(runs: Sequence[Run], key: str) -> float:
    """The mean of one measure over runs."""
    return sum(run[key] for run in runs) / len(runs)


@torch.no_grad()
def outputs_on(net: nn.Module, loader: Iterable) -> tuple[Tensor, Tensor]:
    """Outputs in evaluation mode and labels, of all digits of a loader."""
    net.eval()
    batches = [(net(x), y) for x, y in loader]
    return torch.cat([z for z, _ in batches]), torch.cat([y for _, y in batches])


def best_temperature(outputs: Tensor, labels: Tensor) -> float:
    """What outputs have to be divided by for the least loss, to about a tenth."""
    grid = torch.logspace(-1, 1.5, 61).tolist()
    return min(grid, key=lambda t: F.cross_entropy(outputs / t, labels).item())


def percent(loss: float) -> float:
    """The probability whose cross entropy this is, in percent."""
    return 100 * math.exp(-loss)


def search_rates(score: Callable[..., float], sides: Sides, rates: Sequence[float]) -> Callable:
    """A search for `tuned`: the score of each side at each learning rate, for one seed."""

    def search(seed: int) -> dict[str, dict[float, float]]:
        found: dict[str, dict[float, float]] = {}
        for name, options in sides.items():
            found[name] = {}
            for lr in rates:
                found[name][lr] = score(seed, lr, **options)
        return found

    return search


def run_at_best_rate(
    run: Callable[..., Run], sides: Sides, tuning: Tuning, seeds: Sequence[int]
) -> dict[str, list[Run]]:
    """The runs of each side, one a seed, at the rate that the search found best for it."""
    runs: dict[str, list[Run]] = {}
    for name, options in sides.items():
        lr = tuning.best(name)
        runs[name] = []
        for seed in seeds:
            runs[name].append(run(seed, lr, **options))
    return runs


def strongest(tuning: Tuning, sides: Sequence[str]) -> str:
    """The side with the highest score at its best rate."""
    return max(sides, key=lambda side: max(tuning.means(side).values()))


def gain(
    runs: Mapping[str, Sequence[Run]], side: str, opponent: str, key: str = "test", equal=False
) -> Difference:
    """What a side gains over its opponent, paired by seed; positive is better in either measure."""
    a, b = ([run[key] for run in runs[name]] for name in (side, opponent))
    label = f"{side} minus {opponent}"
    if key == "loss":
        a, b, label = b, a, f"calibrated loss, {opponent} minus {side}"
    return paired_difference(a, b, label, UNITS[key], margin=MARGINS[key], equal=equal)


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
