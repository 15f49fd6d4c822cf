"""Chapter 7, Speed and learning rate: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from bnkit import plots
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Probe, calls
from bnkit.book.quiz import Question, choice
from bnkit.plots import appearance, to_numpy

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "learning_panels",
    "quantile_drift",
]

CHAPTER = "07_speed_and_learning_rate"

BRAKE = "07_speed_and_learning_rate.ipynb#By hand: a step that brakes itself"


# The turn of a weight vector


def turn(w, grad, lr):
    new = w - lr * grad
    cosine = (w @ new) / (w.norm() * new.norm())
    return new.norm().item(), math.degrees(math.acos(cosine))


def _step(w: list, grad: list, lr: float, essential: bool = True) -> Probe:
    inputs = {"w": torch.tensor(w), "grad": torch.tensor(grad), "lr": lr}
    return calls(inputs, ("length", "angle"), essential=essential)


def _by_components(w: Tensor, grad: Tensor, lr: float) -> tuple[float, float]:
    """The angle from the parts of the step along w and across it."""
    step, length = -lr * grad, w.norm()
    along = (step @ w) / length
    across = (step - along * w / length).norm()
    turned = math.atan2(across.item(), (length + along).item())
    return torch.hypot(length + along, across).item(), math.degrees(turned)


_TURN = Exercise(
    name="turn",
    chapter=CHAPTER,
    title="By hand",
    statement="Write `turn(w, grad, lr)` for two vectors: after one step of gradient descent, "
    "return the length of the new w and the angle, in degrees between 0 and 180, by which w has "
    "turned.",
    hints=(
        "Take the step first. Length and angle belong to the new vector.",
        "The cosine of an angle is the dot product divided by both lengths.",
    ),
    solution=turn,
    oracle=_by_components,
    probes=[
        _step([0.0, 1.0], [-1.06, 0.0], 1.0),
        _step([3.0, 4.0], [4.0, -2.0], 0.5),
        _step([1.0, -2.0], [0.5, 0.75], 2.0),
        _step([1.0, -2.0], [0.75, -1.5], 2.5),
        _step([1.0, -2.0, 0.5], [0.5, 0.25, 3.0], 0.5),
        _step([0.5, 1.0, -1.5, 2.0, 0.25], [3.0, -1.0, 0.5, 0.25, -2.0], 1.5),
    ],
    mistakes=[
        Mistake("radians", BRAKE, "math.degrees(math.acos(cosine)) -> math.acos(cosine)",
            "A right angle should be 90. What do you return for one?",
            ("math.degrees( -> math.radians(", "math.degrees( -> math.degrees(180 / math.pi * ")),
        Mistake("right in the plane only", BRAKE,
            "math.degrees(math.acos(cosine)) -> math.degrees("
            "abs(math.atan2(new[1], new[0]) - math.atan2(w[1], w[0])))",
            "Try a vector of three numbers. Which of them does your angle use?",
            ("math.degrees(math.acos(cosine)) -> math.degrees("
             "math.atan2(new[1], new[0]) - math.atan2(w[1], w[0]))",
             "math.degrees(math.acos(cosine)) -> math.degrees("
             "math.atan2(w[1], w[0]) - math.atan2(new[1], new[0]))",
             "math.degrees(math.acos(cosine)) -> math.degrees(math.atan2("
             "w[0] * new[1] - w[1] * new[0], (w * new)[:2].sum()))",
             "math.degrees(math.acos(cosine)) -> math.degrees(abs(math.atan2("
             "w[0] * new[1] - w[1] * new[0], (w * new)[:2].sum())))",
             "math.degrees(math.acos(cosine)) -> math.degrees(math.asin("
             "abs(w[0] * new[1] - w[1] * new[0]) / (w.norm() * new.norm())))")),
        Mistake("right only where the gradient is at a right angle to w", BRAKE,
            "math.acos(cosine) -> math.atan(lr * grad.norm() / w.norm())",
            "That needs a step at a right angle to w. Try a gradient that points along w.",
            ("math.acos(cosine) -> lr * grad.norm() / w.norm()",
             "math.acos(cosine) -> math.asin(min(1.0, lr * grad.norm() / w.norm()))",
             "return new.norm() -> return (w.norm() ** 2 + (lr * grad).norm() ** 2).sqrt()")),
        Mistake("never more than a right angle", BRAKE,
            "math.acos(cosine) -> math.acos(abs(cosine))",
            "A step may turn w round. Which cosine, and which angle, does that give?",
            ("math.acos(cosine) -> math.acos(max(0.0, cosine))",
             "math.acos(cosine) -> math.asin((1 - cosine**2).clamp(min=0).sqrt())")),
        Mistake("another function of the cosine", BRAKE, "math.acos(cosine) -> math.asin(cosine)",
            "A vector that does not turn has cosine 1. Which angle do you return for it?",
            ("math.acos(cosine) -> math.cos(cosine)", "math.acos(cosine) -> cosine",
             "math.acos(cosine) -> math.atan(cosine)", "math.acos(cosine) -> 1 - cosine")),
        Mistake("uphill", BRAKE, "w - lr -> w + lr",
            "Gradient descent goes down. In which direction from w is that?",
            ),
        Mistake("w overwritten before it is compared", BRAKE,
            Patch("    new = w - lr * grad\n", "    w -= lr * grad\n    new = w\n"),
            "w -= changes w itself. Which two vectors do you compare afterwards?",
            ((Patch("    new = w - lr * grad\n", "    w = w - lr * grad\n    new = w\n"),
              "math.acos(cosine) -> math.acos(min(1.0, cosine))"),
             (Patch("    new = w - lr * grad\n", "    w = w - lr * grad\n    new = w\n"),
              "math.acos(cosine) -> torch.acos(cosine)"))),
        Mistake("gradient divided by its length", BRAKE, "lr * grad -> lr * grad / grad.norm()",
            "Double the gradient. Should the step be twice as long?"),
        Mistake("w decays besides", BRAKE, "w - lr -> (1 - lr) * w - lr",
            "With a gradient of 0 the vector should stay where it is. Does yours?"),
        Mistake("gradient multiplied by w", BRAKE, "lr * grad -> lr * w * grad",
            "With gradient 0 the vector stays, and with w = 0 it should move. Does yours?"),
        Mistake("cosine in place of the angle", BRAKE,
            "math.degrees(math.acos(cosine)) -> cosine.item()",
            "What do you return when w does not turn at all? It should be 0."),
        Mistake("learning rate forgotten", BRAKE, "lr * grad -> grad",
            "Double the learning rate. Does anything change?"),
        Mistake("length of the old vector", BRAKE, "return new.norm() -> return w.norm()",
            "A step at a right angle to w makes it longer. Which vector do you measure?"),
        Mistake("another length than the square root of the sum of squares", BRAKE,
            "return new.norm() -> return new.norm(1)",
            "How long is the vector (3, 4)?",
            ("return new.norm() -> return new.abs().max()", "return new.norm() -> return new.sum()",
             "return new.norm() -> return new.square().sum()",
             "return new.norm() -> return new.square().mean().sqrt()",
             "return new.norm() -> return new.mean()")),
        Mistake("growth in place of the length", BRAKE,
            "return new.norm() -> return (new.norm() - w.norm())",
            "With learning rate 0 the vector stays as long as it is. Do you return that length?",
            ("return new.norm() -> return (new.norm() / w.norm())",)),
        Mistake("half of the angle, or twice", BRAKE,
            "math.acos(cosine) -> math.acos(cosine) / 2",
            "Turn w by a right angle: which angle do you report?",
            ("math.acos(cosine) -> 2 * math.acos(cosine)",)),
        Mistake("angle between w and the gradient", BRAKE,
            "(w @ new) / (w.norm() * new.norm()) -> (w @ grad) / (w.norm() * grad.norm())",
            "For the gradient of a scale-invariant loss yours is always 90. Which two vectors "
            "enclose the angle by which w turns?",
            ("(w @ new) / (w.norm() * new.norm()) -> -(w @ grad) / (w.norm() * grad.norm())",)),
        Mistake("angle between the new w and the gradient", BRAKE,
            "(w @ new) / (w.norm() * new.norm()) -> (grad @ new) / (grad.norm() * new.norm())",
            "Which two vectors enclose the angle by which w turns?",
            ("(w @ new) / (w.norm() * new.norm()) -> -(grad @ new) / (grad.norm() * new.norm())",)),
        Mistake("length of the step", BRAKE, "return new.norm() -> return (lr * grad).norm()",
            "With learning rate 0 the vector stays where it is. Which length do you return then?"),
        Mistake("cosine without the lengths", BRAKE, " / (w.norm() * new.norm()) -> ",
            "A cosine lies between -1 and 1, however long the vectors are. Does yours?",
            (" / (w.norm() * new.norm()) ->  / w.norm()", "w.norm() * new.norm() -> w.norm() ** 2",
             "w.norm() * new.norm() -> new.norm()", "w.norm() * new.norm() -> new.norm() ** 2",
             "w.norm() * new.norm() -> w.norm() + new.norm()",
             *((change, "math.acos(cosine) -> torch.acos(cosine)") for change in (
                 " / (w.norm() * new.norm()) -> ", " / (w.norm() * new.norm()) ->  / w.norm()",
                 "w.norm() * new.norm() -> new.norm()", "w.norm() * new.norm() -> w.norm() ** 2",
                 "w.norm() * new.norm() -> new.norm() ** 2",
                 "w.norm() * new.norm() -> w.norm() + new.norm()")),
             "cosine = (w @ new) / (w.norm() * new.norm()) -> cosine = (w @ new).clamp(-1, 1)",
             "cosine = (w @ new) / (w.norm() * new.norm()) -> cosine = ((w @ new) / w.norm())"
             ".clamp(-1, 1)",
             "cosine = (w @ new) / (w.norm() * new.norm()) -> cosine = ((w @ new) / new.norm())"
             ".clamp(-1, 1)")),
        Mistake("divided by the gradient", BRAKE, "lr * grad -> lr / grad",
            "Double the gradient. Should the step be twice as long, or half as long?"),
    ],
    section=BRAKE,
)  # fmt: skip

EXERCISES = [_TURN]

IN_TEXT = {
    "07-brake": Question(
        r"You start from \(10\,w\), with the same rate. How many times smaller is the tangent of "
        "the first turn?",
        answer=100,
        feedback={
            "right": "A 10 times smaller gradient turns a 10 times longer vector.",
            "wrong": r"The tangent is \(\eta \lVert \nabla L \rVert / \lVert w \rVert\). Both "
            "change.",
            10: "That counts the smaller gradient, or the longer vector. It is both.",
        },
    ),
}


QUESTIONS = [
    Question(
        "A post shows that a network with batch normalization reaches 95 % in 2 epochs and "
        "the plain one in 9. Both ran at learning rate 0.1, which was tuned on the normalized "
        "one. What does this show?",
        [
            choice(
                "BN makes training 4.5 times as fast.",
                "At a rate that was chosen for one side. The plain network may want another, "
                "and another start of its weights.",
            ),
            choice(
                "It is a fair result, since both had the same rate.",
                "The same number is not the same treatment: each network has a rate that suits it.",
            ),
            choice(
                "How BN fares against a plain network at a rate that nobody tuned for it.",
                "Give each side its best rate, and good initial weights, before you count epochs.",
                correct=True,
            ),
            choice(
                "Nothing yet, until it is repeated with more seeds.",
                "More seeds make the same comparison more precise, not more fair.",
            ),
        ],
    ),
    Question(
        "A weight vector in front of batch normalization has length 3. Its gradient has "
        r"length 4, and \( \eta = 1 \). How long is the vector after one step of plain "
        "gradient descent?",
        answer=5.0,
        feedback={
            "right": "The gradient is perpendicular to the weights, so the squares add: 9 + "
            "16. A wild step makes the vector long, and the next gradients small.",
            "wrong": "In which direction does this gradient point, seen from the weight vector?",
            7: "That adds the lengths, as if the gradient pointed along the weights. It has "
            "no part in that direction.",
            1: "That subtracts the lengths. A perpendicular step cannot shorten a vector.",
            3: "The output ignores the length of the vector. The step does not: it changes it.",
        },
    ),
]


# Figures of the chapter


def learning_panels(
    panels: Mapping[str, Mapping[str, object]], x: Sequence[float]
) -> Sequence[Axes]:
    """Learning curves side by side on one scale, one panel per setting."""
    ax = _panels(len(panels), width=1.9, height=2.7)
    for axes, (title, runs) in zip(ax, panels.items(), strict=True):
        plots.learning_curves(runs, axes, x=x, xlabel="step", ylabel="")
        axes.set(title=title, ylim=(0, 100))
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax[0].set_ylabel("accuracy (%)")
    return ax


def quantile_drift(groups: Mapping[str, object], x: Sequence[float]) -> Sequence[Axes]:
    """Three quantiles of a unit's input over training, one panel per network, on one scale."""
    ax = _panels(len(groups), width=3.7, height=3.0)
    for i, (axes, (name, quantiles)) in enumerate(zip(ax, groups.items(), strict=True)):
        _bands(axes, to_numpy(quantiles).astype(float), x, appearance(name, i)["color"])
        axes.set(title=name, xlabel="step")
    ax[0].set_ylabel("input of the unit")
    return ax


def _panels(count: int, width: float, height: float) -> Sequence[Axes]:
    size = (max(width * count, 3.0), height)
    return plt.subplots(1, count, figsize=size, sharey=True, squeeze=False)[1][0]


def _bands(ax: Axes, bands: np.ndarray, x: Sequence[float], color: str) -> None:
    ax.fill_between(x, bands[:, 0], bands[:, 2], color=color, alpha=0.15, lw=0)
    looks = (("15 %", "--", 1.2), ("50 %", "-", 2.0), ("85 %", ":", 1.6))
    for band, (label, line, width) in zip(bands.T, looks, strict=True):
        ax.plot(x, band, line, color=color, linewidth=width)
        place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(label, (x[-1], band[-1]), color=color, fontsize=9, **place)
    ax.margins(x=0.02)
