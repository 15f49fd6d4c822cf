"""Chapter 19, In practice: its questions, exercise, mistakes and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from bnkit import plots
from bnkit.book.exercise import Exercise, Mistake
from bnkit.book.observe import calls
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "show_average",
    "show_sources",
]

CHAPTER = "19_in_practice"

TWICE = "19_in_practice.ipynb#Twice a step: activation checkpointing"


def per_call(momentum, calls):
    kept = (1 - momentum) ** (1 / calls)  # of the old value, by each call
    return 1 - kept


def _by_search(momentum: float, calls: int) -> float:
    """Halve an interval until that many updates from 0 with batches of 1 arrive at momentum."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle, running = (low + high) / 2, 0.0
        for _ in range(calls):
            running += middle * (1 - running)
        low, high = (middle, high) if running < momentum else (low, middle)
    return (low + high) / 2


_PER_CALL = Exercise(
    name="per_call",
    chapter=CHAPTER,
    title="Momentum for several calls",
    statement="A layer is called `calls` times a step with the same batch. Write "
    "`per_call(momentum, calls)`: the momentum to give the layer so that the step as a whole "
    "moves its running statistics as one call with `momentum` does. Both are between 0 and 1 "
    "or equal to 1, in PyTorch's sense; `calls` is a whole number from 1 on.",
    hints=(
        "Do not look at what a call takes of the new value, but at what it keeps of the old.",
        "Two calls that keep 0.9 each: how much of the old value is left?",
    ),
    solution=per_call,
    oracle=_by_search,
    probes=[
        calls({"momentum": momentum, "calls": count}, ("momentum per call",))
        for momentum, count in (
            *((0.19, 2), (0.1, 2), (0.5, 1), (0.271, 3)),
            *((0.9, 4), (1.0, 3), (0.01, 8), (0.75, 5)),
        )
    ],
    mistakes=[
        Mistake("momentum divided by the calls", TWICE, "1 - kept -> momentum / calls",
            "Close for a small momentum. Try momentum 1 in two calls: what must each do?"),
        Mistake("compounded, not undone", TWICE, "(1 / calls) -> calls",
            "Your answer is what so many calls do together. You are given that, and look for one."),
        Mistake("the part kept, not the part taken", TWICE, "1 - kept -> kept",
            "PyTorch's momentum is the weight of the new batch. Which weight is yours?"),
        Mistake("root of the momentum itself", TWICE,
            "1 - kept -> momentum ** (1 / calls)",
            "Which parts multiply from call to call: those that are taken, or those that are "
            "kept?"),
        Mistake("power of the momentum itself", TWICE, "1 - kept -> momentum**calls",
            "Which parts multiply from call to call: those that are taken, or those that are "
            "kept?"),
        Mistake("two calls, whatever is asked", TWICE, "(1 / calls) -> 0.5",
            "Two is the commonest number. Try one call, and three."),
        Mistake("whole-number division", TWICE, "(1 / calls) -> (1 // calls)",
            "In Python 1 // 2 is 0, and any number to the power 0 is 1."),
        Mistake("momentum not changed", TWICE, "1 - kept -> momentum",
            "Two calls with 0.1 each: is the new value's weight 0.1 at the end?"),
        Mistake("momentum times the calls", TWICE, "1 - kept -> momentum * calls",
            "More calls move the statistics further. Must each then take more, or less?"),
        Mistake("momentum divided, as if the parts added up", TWICE,
            "(1 - momentum) ** (1 / calls) -> (1 - momentum) / calls",
            "Two calls that keep half each: do they keep all of it together?"),
        Mistake("one call counted too many", TWICE, "(1 / calls) -> (1 / (calls + 1))",
            "Try one call: nothing should change.",
            ("(1 / calls) -> (1 / max(1, calls - 1))",)),
        Mistake("logarithm not undone", TWICE,
            "1 - kept -> -math.log(1 - momentum) / calls if momentum < 1 else 1.0",
            "For a small momentum, −log(1 − m) is nearly m. And for 0.9?"),
    ],
    section=TWICE,
)  # fmt: skip

EXERCISES = [_PER_CALL]

IN_TEXT = {
    "19-variance": Question(
        "Two networks start from different random weights and learn the same digits. A unit of "
        "their average has the mean of their weights. Its pre-activations have, in the first "
        "layer, roughly which variance, if both had variance 1 and are uncorrelated?",
        [
            choice("1", "That is the average of the two variances: what averaged buffers store."),
            choice("1/2", "Var((a + b)/2) = (1 + 1)/4.", correct=True),
            choice("1/4", "One half squared is 1/4, and there are two of them."),
            choice("2", "That is the variance of the sum, not of the average."),
        ],
    ),
    "19-checkpoint": Question(
        "A block with batch normalization and `momentum=0.1` runs under activation "
        "checkpointing. What differs from the same training without it?",
        [
            choice(
                "The gradients: they are computed from other batch statistics.",
                "The block runs on the same batch again, and gets the same statistics.",
            ),
            choice(
                "The running statistics: they forget faster.",
                "Two updates a step with the same batch keep 0.81 of the old value, not 0.9.",
                correct=True,
            ),
            choice(
                "Nothing. It only trades time for memory.",
                "That is the idea. But a forward pass in training mode has a side effect, and it "
                "happens twice.",
            ),
        ],
    ),
}

QUESTIONS = [
    Question(
        "A backbone has `requires_grad=False` everywhere, and the optimizer gets only the new "
        "head. After an epoch of `model.train()` the backbone's answers to the old images have "
        "changed. Why?",
        [
            choice(
                "Weight decay moved the weights, which need no gradient for it.",
                "Weight decay is the optimizer's, and the optimizer holds only the head.",
            ),
            choice(
                "Its running statistics moved towards the new images.",
                "They are buffers: no gradient moves them, a forward pass in training mode does.",
                correct=True,
            ),
            choice(
                "The head's gradients flow back into it.",
                "They stop where no parameter wants one, and no parameter changed.",
            ),
        ],
    ),
    Question(
        "Memory allows 8 images at a time. A recipe asks for batches of 64. You add up the "
        "gradients of 8 passes before each step. Which networks then train as the recipe says?",
        [
            choice(
                "All: the gradient of a mean is the mean of the gradients.",
                "So it is for a loss that is a mean over images, each looked at alone. With batch "
                "normalization an image's output depends on the other seven.",
            ),
            choice(
                "Those with batch normalization, if its momentum is divided by 8.",
                "At best that mends the running statistics. The gradients still come from "
                "statistics of 8.",
            ),
            choice(
                "None: eight passes make eight steps.",
                "There is one step, with the sum of the gradients.",
            ),
            choice(
                "Those that normalize each image by itself.",
                "Layer, group or instance norm, or none at all. With batch normalization the "
                "statistics stay those of 8 images.",
                correct=True,
            ),
        ],
    ),
]


# Figures


def show_average(correlation: float) -> Figure:
    """Histograms of two units and of their average, for a correlation of their values."""
    generator = np.random.default_rng(0)
    first, other = generator.standard_normal((2, 4000))
    second = correlation * first + math.sqrt(1 - correlation**2) * other
    groups = {"unit A": first, "unit B": second, "unit of the average": (first + second) / 2}
    fig, ax = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
    for (name, values), color in zip(groups.items(), COLORS.values(), strict=False):
        label = f"{name}: variance {values.var():.2f}"
        bins = np.linspace(-4, 4, 41)
        ax.hist(values, bins, density=True, histtype="step", color=color, lw=2, label=label)
    ax.set(xlabel="pre-activation", ylabel="density")
    fig.legend(loc="outside upper left")
    return fig


def show_sources(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A panel for each way to average: accuracy by where the statistics come from, a dot a seed."""
    fig, panels = plt.subplots(1, len(scores), figsize=(7.4, 2.8), sharey=True)
    for ax, (title, groups) in zip(np.atleast_1d(panels), scores.items(), strict=True):
        plots.dots_with_spread(groups, ax, xlabel="test accuracy (%)")
        ax.set_title(title)
    return fig
