"""Chapter 8, Initialization and scale: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bnkit import plots
from bnkit.book.exercise import Exercise, Mistake
from bnkit.book.observe import calls
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, appearance, new_axes, to_numpy

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "accuracies_by_start",
    "lengths_by_start",
    "rescaled_paths",
    "start_and_losses",
]

CHAPTER = "08_initialization"

DESCENT = "08_initialization.ipynb#What scale means for gradient descent"


def matching_lr(lr, a, optimizer):
    # The gradient shrinks by a, and the same relative step must be a times longer.
    return lr * a**2 if optimizer == "sgd" else lr * a  # Adam divides its gradient out


def _by_lengths(lr: float, a: float, optimizer: str) -> float:
    """The step must be a times longer; SGD's has become a times shorter, Adam's has not."""
    shrunk = {"sgd": 1 / a, "adam": 1.0}[optimizer]
    return lr * a / shrunk


_MATCHING_LR = Exercise(
    name="matching_lr",
    chapter=CHAPTER,
    title="Adam",
    statement="Write `matching_lr(lr, a, optimizer)`: weights in front of a batch normalization "
    "start `a` times larger. Return the learning rate that gives the same training as "
    '`lr` did, for `optimizer` `"sgd"` or `"adam"`.',
    hints=(
        "Only the step relative to the length of the weights matters. How much longer must it be?",
        "The gradient of weights that are a times larger is a times smaller. Which of the two "
        "optimizers notices?",
    ),
    solution=matching_lr,
    oracle=_by_lengths,
    probes=[
        calls({"lr": lr, "a": a, "optimizer": optimizer}, ("learning rate",))
        for lr, a in ((0.5, 10.0), (0.25, 0.5), (3.0, 1.5))
        for optimizer in ("sgd", "adam")
    ],
    mistakes=[
        Mistake("Adam treated like SGD", DESCENT, "else lr * a -> else lr * a**2",
            "A gradient that is a times smaller: what becomes of Adam's step?"),
        Mistake("smaller gradient forgotten", DESCENT, "lr * a**2 if -> lr * a if",
            "Weights that are a times longer need a step that is a times longer. And how long is "
            "the gradient that SGD multiplies?"),
        Mistake("optimizers swapped", DESCENT, 'optimizer == "sgd" -> optimizer != "sgd"',
            "Which of the two optimizers multiplies the gradient as it is?"),
        Mistake("divided in place of multiplied", DESCENT,
            ("lr * a**2 -> lr / a**2", "else lr * a -> else lr / a"),
            "Larger weights turn less with the same step. Must the rate grow or fall?",
            ("lr * a**2 -> lr / a**2", "else lr * a -> else lr / a", "lr * a**2 -> lr / a",
             "else lr * a -> else lr / a**2", ("lr * a**2 -> lr / a", "else lr * a -> else lr / a"),
             ("lr * a**2 -> lr / a", "else lr * a -> else lr"),
             ("lr * a**2 -> lr / a**2", "else lr * a -> else lr"),
             ("lr * a**2 -> lr / a**2", "else lr * a -> else lr / a**2"))),
        Mistake("scale ignored", DESCENT, ("lr * a**2 -> lr", "else lr * a -> else lr"),
            "The output of batch normalization does not depend on a. Does the gradient?",
            ("lr * a**2 -> lr",)),
        Mistake("longer weights forgotten", DESCENT,
            ("lr * a**2 -> lr * a", "else lr * a -> else lr"),
            "That makes up for the gradient. The weights are a times longer as well: how long a "
            "step turns them as far as before?",
            ("else lr * a -> else lr",)),
        Mistake("doubled in place of squared", DESCENT, "a**2 -> a * 2",
            "Two effects, each a factor a. What is their product for a = 10?",
            ("a**2 -> (a + a + a)", "a**2 -> 2")),
        Mistake("another power of a", DESCENT, "a**2 -> a**3",
            "Count the effects, each of which is a factor a.",
            ("a**2 -> a**0.5", "a**2 -> a**4", "else lr * a -> else lr * a**0.5",
             "else lr * a -> else lr * a**3", ("a**2 -> a", "else lr * a -> else lr * a**0.5"),
             ("a**2 -> a**0.5", "else lr * a -> else lr * a**0.5"),
             ("a**2 -> a**4", "else lr * a -> else lr * a**2"))),
        Mistake("the old learning rate does not count", DESCENT,
            ("lr * a**2 -> a**2", "else lr * a -> else a"),
            "Train with a rate twice as large at first. Should the matching one double, too?",
            ("lr * a**2 -> a**2", "else lr * a -> else a")),
        Mistake("added in place of multiplied", DESCENT,
            ("lr * a**2 -> lr + a**2", "else lr * a -> else lr + a"),
            "At a = 1 nothing changes. What do you return for it?",
            ("lr * a**2 -> lr + a**2", "else lr * a -> else lr + a", "lr * a**2 -> lr + a",
             ("lr * a**2 -> lr + 2 * a", "else lr * a -> else lr + a"))),
        Mistake("1 too much beside a", DESCENT, "a**2 -> (1 + a) ** 2",
            "At a = 1 nothing changes. What do you return for it?",
            ("a**2 -> (1 + a)", "a**2 -> (1 + a**2)", "else lr * a -> else lr * (1 + a)",
             ("a**2 -> (1 + a) ** 2", "else lr * a -> else lr * (1 + a)"))),
        Mistake("the learning rate to a power", DESCENT, "lr * a**2 -> (lr * a) ** 2",
            "Double lr. Should what you return double, or grow four times?",
            ("else lr * a -> else (lr * a) ** 2", "lr * a**2 -> lr**2 * a",
             "else lr * a -> else lr**a", "lr * a**2 -> lr**a",
             ("lr * a**2 -> (lr * a) ** 2", "else lr * a -> else (lr * a) ** 2"))),
    ],
    section=DESCENT,
)  # fmt: skip

EXERCISES = [_MATCHING_LR]

IN_TEXT = {
    "08-rate": Question(
        "You start all weights before a batch norm 5 times larger. By which factor must their "
        "learning rate grow, with SGD, so that training runs as before?",
        answer=25,
        feedback={
            "right": "The gradient is 5 times smaller, and the way to go is 5 times longer.",
            "wrong": "Two effects multiply: how the gradient changes, and how far it is to go.",
            5: "That makes up for the smaller gradient. But it also takes a longer step to turn.",
        },
    ),
}


QUESTIONS = [
    Question(
        "Weight decay halves the length of a weight vector in front of batch normalization, "
        "and its direction stays. By which factor does its effective learning rate under SGD "
        "change?",
        answer=4,
        tolerance=0.04,
        feedback={
            "right": r"\( \eta / \lVert w \rVert^2 \): the gradient doubles, and there is half "
            "as far to go.",
            "wrong": r"The effective learning rate is \( \eta / \lVert w \rVert^2 \).",
            2: "That counts the larger gradient alone. The same step also turns a shorter "
            "vector further.",
            0.25: "The wrong way round: shorter weights turn faster.",
            1: "The output does not change. The way in which the next steps turn the weights does.",
        },
    ),
    Question(
        "You train with SGD, drop weight decay from the weights in front of batch normalization "
        "and keep the learning rate. After many epochs progress stalls, though the loss is not "
        "low and the activations look as before. What has happened?",
        [
            choice(
                "The weights have grown large, and large weights overfit.",
                "In front of a normalization their length does not change the function, so it "
                "cannot overfit.",
            ),
            choice(
                "The activations saturate and pass no gradient.",
                "They are normalized, and they look as before.",
            ),
            choice(
                "Without decay the initialization shows through again.",
                "The scale of the start is forgotten in the output. What counts is the length now.",
            ),
            choice(
                "The weights have grown, and turn less and less with each step.",
                "Every step adds to the length and none takes away. Lengthening the weights "
                "is a learning rate schedule that nobody wrote down.",
                correct=True,
            ),
        ],
    ),
]


# Figures of the chapter


def rescaled_paths(
    losses: Mapping[str, Sequence[float]],
    lengths: Sequence[float],
    steps: Sequence[float],
) -> Sequence[Axes]:
    """Losses of runs whose weights differ in scale, and the growth of the weights as Pythagoras."""
    left, right = plt.subplots(1, 2, figsize=(7.4, 3.0))[1]
    looks = (("bn", "-", 1.8), ("plain", ":", 3.2), ("other", "--", 1.8))
    for (name, run), (color, line, width) in zip(losses.items(), looks, strict=False):
        left.plot(to_numpy(run), line, color=COLORS[color], linewidth=width, label=name)
    left.set(xlabel="step", ylabel="training loss")
    squares, gains = to_numpy(lengths) ** 2, to_numpy(steps) ** 2
    right.plot(squares - squares[0], color=COLORS["bn"], label="measured")
    right.plot(
        gains.cumsum() - gains, ":", color=COLORS["plain"], linewidth=3.2, label="Pythagoras"
    )
    right.set(xlabel="step", ylabel="growth of ‖W‖²")
    for axes in (left, right):
        axes.legend()
    return left, right


def accuracies_by_start(
    panels: Mapping[str, Mapping[str, object]], scales: Sequence[float]
) -> Sequence[Axes]:
    """Accuracy over the scale at which the weights started, one panel for each choice of rates."""
    axes = plt.subplots(1, len(panels), figsize=(7.4, 3.2), sharey=True)[1]
    for ax, (title, groups) in zip(axes, panels.items(), strict=True):
        plots.over_rates(groups, scales, ax, xlabel="scale (× He)", ylabel="", tick_each=True)
        ax.set(title=title, ylim=(0, 100))
    axes[0].set(ylabel="accuracy (%)")
    return axes


def start_and_losses(
    spreads: Mapping[str, Sequence[float]],
    losses: Mapping[str, Sequence[Sequence[float]]],
    title: str = "",
) -> Sequence[Axes]:
    """How large each layer's activations are at the start, and how training goes on from there."""
    left, right = plt.subplots(1, 2, figsize=(7.4, 3.0))[1]
    for i, (name, spread) in enumerate(spreads.items()):
        left.plot(range(1, len(spread) + 1), spread, **appearance(name, i))
    left.set(yscale="log", ylim=(1e-14, 1e10), title=title)
    left.set(xlabel="hidden layer", ylabel="spread of the activations")
    left.set_xticks(range(1, 1 + max(map(len, spreads.values()))))
    longest = max(len(run) for runs in losses.values() for run in runs)
    plots.training_losses(
        {k: [_ended(run, longest) for run in runs] for k, runs in losses.items()}, right
    )
    return left, right


def _ended(run: Sequence[float], length: int) -> np.ndarray:
    """A run that broke off, continued as ``nan``."""
    return np.append(to_numpy(run).astype(float), [np.nan] * (length - len(run)))


def lengths_by_start(lengths: Mapping[float, Sequence[float]], unit: float) -> Axes:
    """Length of weights during training, one curve for each scale that they started at."""
    ax = new_axes()
    looks = {-1: ("other", "--"), 0: ("bn", "-"), 1: ("group", ":")}  # shorter, as He's, longer
    place = {"xytext": (-5, 0), "textcoords": "offset points", "ha": "right", "va": "center"}
    for scale, run in lengths.items():
        relative = to_numpy(run) / unit
        name, line = looks[np.sign(scale - 1)]
        color = COLORS[name]
        ax.plot(relative, line, color=color)
        ax.annotate(f"{scale:g}", (0, relative[0]), color=color, fontsize=9, **place)
    ax.set(yscale="log", xlabel="step", ylabel="length of W (× He)")
    ax.spines["left"].set_visible(False)
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    return ax
