"""Chapter 20, Data of two kinds: its questions, exercise, mistakes and figures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Probe, calls, scattered
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, new_axes

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "show_stream",
]

CHAPTER = "20_two_kinds"

NUMBERS = "20_two_kinds.ipynb#Four numbers by hand"


def landing(means, variances, eps):
    mean = means.mean(dim=0)  # (C,) what taking turns stores
    var = variances.mean(dim=0)  # (C,)
    return (means - mean) / torch.sqrt(var + eps)  # (D, C)


def _by_examples(means: Tensor, variances: Tensor, eps: float) -> Tensor:
    """Feature by feature and source by source, in plain numbers."""
    rows, columns = means.shape
    result = torch.zeros(rows, columns)
    for c in range(columns):
        center = sum(means[:, c].tolist()) / rows
        width = (sum(variances[:, c].tolist()) / rows + eps) ** 0.5
        for d in range(rows):
            result[d, c] = (means[d, c].item() - center) / width
    return result


def _sources(rows: int, columns: int, eps: float) -> Probe:
    means, spreads = scattered(rows, columns), scattered(columns, rows).T.abs() + 0.1
    return calls({"means": means, "variances": spreads, "eps": eps}, ("landing",))


def _faint(rows: int, columns: int, eps: float) -> Probe:
    """Spreads so small that epsilon is nearly all there is under the root."""
    means, spreads = scattered(rows, columns), scattered(columns, rows).T.abs() / 1e6
    return calls({"means": means, "variances": spreads, "eps": eps}, ("landing",))


_LANDING = Exercise(
    name="landing",
    chapter=CHAPTER,
    title="Where a source lands",
    statement="D sources take turns in training, a batch each. Their pre-activations have means "
    "of shape (D, C) and biased variances of shape (D, C). Write "
    "`landing(means, variances, eps)`: the mean of the normalized values of each source in "
    "evaluation, shape (D, C), if the running statistics are the plain averages over the sources.",
    hints=(
        "Which two numbers per feature does the layer store, if it sees each source equally often?",
        "What is the mean of (z − μ)/σ over one source, where μ and σ are the stored ones?",
    ),
    solution=landing,
    oracle=_by_examples,
    probes=[
        calls(
            {
                "means": torch.tensor([[1.0], [11.0]]),
                "variances": torch.tensor([[3.0], [5.0]]),
                "eps": 0.0,
            },
            ("landing",),
        ),
        calls(
            {
                "means": torch.tensor([[0.0, 4.0], [6.0, 1.0], [3.0, 4.0]]),
                "variances": torch.tensor([[1.0, 0.5], [4.0, 2.0], [1.0, 8.0]]),
                "eps": 0.5,
            },
            ("landing",),
        ),
        _sources(2, 3, 0.1),
        _sources(4, 2, 2.0),
        _sources(5, 5, 1e-5),
        _faint(3, 2, 0.1),
    ],
    mistakes=[
        Mistake("each source by its own width", NUMBERS, "variances.mean(dim=0) -> variances",
            "In evaluation all sources meet the same stored variance. Which one?"),
        Mistake("the variance of all examples", NUMBERS,
            "variances.mean(dim=0) -> variances.mean(dim=0) + means.var(dim=0, unbiased=False)",
            "A layer averages the variances of its batches. Does any batch hold two sources?",
            ("variances.mean(dim=0) -> variances.mean(dim=0) + means.var(dim=0)",)),
        Mistake("the variance between the sources alone", NUMBERS,
            "variances.mean(dim=0) -> means.var(dim=0, unbiased=False)",
            "Which variance does a batch of one source show the layer?",
            ("variances.mean(dim=0) -> means.var(dim=0)",)),
        Mistake("epsilon outside the root", NUMBERS,
            "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)",
            "Where does the layer add ε: to the variance, or to the standard deviation?"),
        Mistake("epsilon missing", NUMBERS, "var + eps -> var", "Where is ε in your answer?"),
        Mistake("epsilon fixed", NUMBERS, "var + eps -> var + 1e-5",
            "You are given ε. Do you use it?",
            ("var + eps -> var + 1e-8", "var + eps -> var + 1e-3")),
        Mistake("divided by the variance", NUMBERS, "torch.sqrt(var + eps) -> (var + eps)",
            "If z is in meters, what is the unit of x_hat?"),
        Mistake("not divided at all", NUMBERS, " / torch.sqrt(var + eps) -> ",
            "If z is in meters, what is the unit of x_hat?"),
        Mistake("standard deviations averaged", NUMBERS,
            "torch.sqrt(var + eps) -> torch.sqrt(variances + eps).mean(dim=0)",
            "What does a layer store: variances, or standard deviations?",
            ("torch.sqrt(var + eps) -> torch.sqrt(variances).mean(dim=0)",
             "variances.mean(dim=0) -> torch.sqrt(variances).mean(dim=0) ** 2")),
        Mistake("squares of the means not centered", NUMBERS,
            "variances.mean(dim=0) -> (variances + means**2).mean(dim=0)",
            "A mean of squares is a variance only after the square of the mean is taken off. And "
            "does any batch hold two sources?"),
        Mistake("nothing subtracted", NUMBERS, "(means - mean) -> means",
            "What does the layer subtract before it divides?"),
        Mistake("the other way round", NUMBERS, "(means - mean) -> (mean - means)",
            "A source that lies above the stored mean: is its landing positive?"),
        Mistake("centered in its own source", NUMBERS, "means.mean(dim=0) -> means",
            "In evaluation all sources meet the same stored mean. Which one?",
            ("means.mean(dim=0) -> means.mean(dim=1, keepdim=True)",)),
        Mistake("averaged over the features", NUMBERS,
            (
                Patch("means.mean(dim=0)", "means.mean(dim=1, keepdim=True)"),
                Patch("variances.mean(dim=0)", "variances.mean(dim=1, keepdim=True)"),
            ),
            "The layer stores a number for each feature. Over which axis do you average?"),
        Mistake("one number for all features", NUMBERS, Patch("mean(dim=0)", "mean()", all=True),
            "The layer stores a number for each feature. How many do you have?",
            ("means.mean(dim=0) -> means.mean()", "variances.mean(dim=0) -> variances.mean()")),
        Mistake("sums in place of means", NUMBERS, Patch("mean(dim=0)", "sum(dim=0)", all=True),
            "Three sources, all with variance 1: what is stored?",
            ("means.mean(dim=0) -> means.sum(dim=0)",
             "variances.mean(dim=0) -> variances.sum(dim=0)")),
        Mistake("only the first source stored", NUMBERS, Patch(".mean(dim=0)", "[0]", all=True),
            "The sources take turns. Is what the layer stores that of the first?",
            (Patch(".mean(dim=0)", "[-1]", all=True),)),
        Mistake("means and variances swapped", NUMBERS,
            (
                Patch("mean = means.", "mean = variances."),
                Patch("var = variances.", "var = means."),
            ),
            "Which of the two is subtracted, and which is under the root?"),
        Mistake("stored variance unbiased", NUMBERS,
            "variances.mean(dim=0) -> variances.mean(dim=0) * len(means) / (len(means) - 1)",
            "The number of sources is not the number of examples in a batch."),
    ],
    section=NUMBERS,
)  # fmt: skip

EXERCISES = [_LANDING]

IN_TEXT = {
    "20-turns": Question(
        "Upright and inverted digits take turns, a batch of each. In evaluation the network does "
        "poorly on both. What would help, with the weights as they are?",
        [
            choice(
                "New running statistics, from many more batches of the two in turn.",
                "The layer would store the same compromise between two sources.",
            ),
            choice(
                "Statistics for each source, if you know where an image is from.",
                "Then evaluation normalizes as training did.",
                correct=True,
            ),
            choice(
                "A larger momentum, so that what is stored is up to date.",
                "Then what is stored is that of the last batch, right for one source only.",
            ),
        ],
    ),
    "20-stream": Question(
        "A trained network meets noisy images and normalizes each test batch with its own "
        "statistics. In which stream does that do harm?",
        [
            choice(
                "Shuffled images, 200 at a time.",
                "Such batches look like the training's, and their statistics fit the noise.",
            ),
            choice(
                "Images sorted by what they show.",
                "The statistics of a batch of sevens subtract what makes them sevens.",
                correct=True,
            ),
            choice(
                "Images that all have the same noise.",
                "What they share is what new statistics can remove.",
            ),
        ],
    ),
}

QUESTIONS = [
    Question(
        "A discriminator gets a batch of real images, then a batch of generated ones, both in "
        "training mode. Early on it tells them apart without looking at any image closely. Which "
        "change takes that away?",
        [
            choice(
                "More images in each batch.",
                "The statistics of a batch still tell where all of it comes from.",
            ),
            choice(
                "One batch that mixes both.",
                "Then real and generated images are normalized with the same numbers, and no batch "
                "has one answer for all of its images.",
                correct=True,
            ),
            choice(
                "Two batch normalizations, one for each source.",
                "That would tell the network the answer by the layer that it goes through.",
            ),
            choice(
                "A smaller momentum.",
                "In training mode the running statistics are not used.",
            ),
        ],
    ),
    Question(
        "A fully connected network answers one image at a time, and its camera has changed. What "
        "of test-time adaptation can you use?",
        [
            choice(
                "The statistics of the batch, although it has one image.",
                "The variance of one value is 0, every image would come out alike, and PyTorch "
                "refuses.",
            ),
            choice(
                "TENT, with a learning rate that suits single images.",
                "It normalizes with the batch first, and meets the same trouble.",
            ),
            choice(
                "None. Adaptation needs labels.",
                "Neither the statistics nor the entropy use a label.",
            ),
            choice(
                "New statistics, collected over many of its images.",
                "What matters is how many images the statistics come from, not how many are "
                "answered at once.",
                correct=True,
            ),
        ],
    ),
]


# Figures


def show_stream(
    right: Sequence[bool], before: float, ax: Axes | None = None, window: int = 400
) -> Axes:
    """Accuracy along a stream, over a sliding window, beside that of the network as it was."""
    ax = new_axes(ax, figsize=(7.4, 2.8))
    hits = torch.as_tensor(right, dtype=torch.float64).cumsum(0)  # (images,)
    rolling = 100 * (hits[window:] - hits[:-window]) / window
    ax.plot(range(window, window + len(rolling)), rolling, color=COLORS["bn"], label="adapted")
    ax.axhline(before, color=COLORS["reference"], linestyle="--", label="not adapted, whole stream")
    ax.set(xlabel="images answered", ylabel="accuracy (%)", ylim=(0, 100))
    ax.legend(loc="lower right")
    return ax
