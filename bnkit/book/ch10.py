"""Chapter 10, Why it works: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, appearance, new_axes, to_numpy

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "accuracy_by_step",
    "along_the_gradient",
    "gradient_by_layer",
]

CHAPTER = "10_why_it_works"

DEPTH = "10_why_it_works.ipynb#Depth: where the layer makes trouble"
ADDITION = "14_architectures.ipynb#Before or after the addition"


class Skip(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, h):
        return h + self.norm(self.linear(h.relu()))


BATCH = torch.tensor([[2.0, -1.0], [0.5, 3.0], [-1.0, -2.0], [4.0, 0.0]])


def fill_block(module: nn.Module) -> nn.Module:
    """Parameters of a linear layer and of a batch normalization that tell all parts apart."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.tensor([[1.0, -0.5], [0.25, 2.0]]))
                if layer.bias is not None:
                    layer.bias.zero_()  # so that a layer without one is right, too
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.copy_(torch.tensor([2.0, 0.5]))
                layer.bias.copy_(torch.tensor([0.25, -1.0]))
    return module


def _skips(mode: str) -> Probe:
    def run(cls: Callable) -> Facets:
        block = fill_block(cls(2)).train(mode == "training")
        layers = sorted(type(m).__name__ for m in block.modules() if [*m.parameters(False)])
        return {
            "layers with parameters": ", ".join(layers),
            "output": as_seen(block(BATCH.clone())),
        }

    return Probe({"h": BATCH, "mode": mode}, run)


class _Branch(nn.Module):
    """The same block with its branch as a Sequential."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.BatchNorm1d(width))

    def forward(self, h: Tensor) -> Tensor:
        return torch.add(self.branch(h), h)


_SKIP_BLOCK = Exercise(
    name="skip_block",
    chapter=CHAPTER,
    title="Skip connections",
    statement="Write a module `Skip(width)` that computes h + BN(W relu(h)) for inputs of shape "
    "(N, width), with one `nn.Linear` and one `nn.BatchNorm1d`.",
    hints=(
        "Read the formula from the inside: what happens to h first?",
        "The addition comes last, and what is added is the h that came in.",
    ),
    solution=Skip,
    oracle=_Branch,
    probes=[_skips("training"), _skips("evaluation")],
    mistakes=[
        Mistake("skip connection missing", DEPTH, "return h + -> return",
            "Set the weight and the bias of your normalization to 0. What should be left?"),
        Mistake("ReLU missing", DEPTH, "h.relu() -> h",
            "Feed an h that is negative everywhere. What does the branch see of it?"),
        Mistake("ReLU on the skip path too", DEPTH, "return h + -> return h.relu() +",
            "Can the value that your block adds to be negative?"),
        Mistake("ReLU after the addition", ADDITION,
            "h + self.norm(self.linear(h.relu())) -> (h + self.norm(self.linear(h))).relu()",
            "In which order do h, the matrix and the ReLU meet in the formula?",
            (
                "h + self.norm(self.linear(h.relu())) -> (h + "
                "self.norm(self.linear(h.relu()))).relu()",
            )),
        Mistake("ReLU at the end of the branch", DEPTH,
            "h + self.norm(self.linear(h.relu())) -> h + self.norm(self.linear(h)).relu()",
            "Can your branch ever subtract something from h?"),
        Mistake("normalized before the matrix", ADDITION,
            "h + self.norm(self.linear(h.relu())) -> h + self.linear(self.norm(h.relu()))",
            "What is the innermost operation of the formula, and what the outermost before the "
            "sum?",
            ("h + self.norm(self.linear(h.relu())) -> h + self.linear(self.norm(h).relu())",)),
        Mistake("normalized after the addition", ADDITION,
            "h + self.norm(self.linear(h.relu())) -> self.norm(h + self.linear(h.relu()))",
            "Is the h that is added normalized, or as it came?"),
        Mistake("normalization missing", DEPTH,
            (
                Patch("        self.norm = nn.BatchNorm1d(width)\n", ""),
                "self.norm(self.linear(h.relu())) -> self.linear(h.relu())",
            ),
            "Print your block. Which two layers should it hold?"),
    ],
    section=DEPTH,
)  # fmt: skip

EXERCISES = [_SKIP_BLOCK]

IN_TEXT = {
    "10-logic": Question(
        'Which observation speaks most directly against "BN works because the inputs of each layer '
        'keep their distribution"?',
        [
            choice(
                "The loss along the gradient is smoother with BN.",
                "That supports another explanation. Both could be true together.",
            ),
            choice(
                "With random shifts after BN, as in this chapter, most of the gain stays.",
                "The supposed cause is spoiled, and most of the effect stays. With twice the "
                "noise less than half would.",
                correct=True,
            ),
            choice(
                "The shift measured with BN is smaller.",
                "That agrees with the explanation; it is what one would expect if it were true.",
            ),
            choice(
                "Transformers use layer normalization.",
                "True, but it says nothing about why BN works where it is used.",
            ),
        ],
    ),
    "10-plateau": Question(
        "A colleague compares two networks after 50 steps each and finds the plain one smoother. "
        "Its loss is still 2.30, which is ln 10. What do you say?",
        [
            choice(
                "BN does not smooth the loss in this network.",
                "The plain network has not started to learn. You have not compared like with like.",
            ),
            choice(
                "Compare at equal loss.",
                "At ln 10 it guesses. Plateaus are smooth, and useless.",
                correct=True,
            ),
            choice("Use more seeds.", "More seeds make the wrong comparison more precise."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "In a deep stack the squared gradient norm grows by about 1.5 for each layer on the "
        "way back. After how many layers has it grown a thousandfold?",
        answer=17,
        tolerance=0.6,
        feedback={
            "right": r"\( 1.5^{17} \approx 1000 \). Over 50 layers that makes hundreds of "
            "millions.",
            "wrong": r"Factors multiply: \( 1.5^k = 1000 \). Take logarithms.",
            667: "That divides 1000 by 1.5. Each layer multiplies what the one behind it "
            "passes on.",
            34: "That is for the norm itself. Its square grows twice as fast on a logarithmic "
            "scale.",
        },
    ),
    Question(
        "With BN a network has less internal covariate shift and a smoother loss. A colleague "
        "concludes that the smaller shift causes the smoothness. What do you say?",
        [
            choice(
                "That follows: both were measured with and without BN.",
                "Both change together. Which is cause, which is effect, or whether BN causes "
                "both, such a pair cannot tell.",
            ),
            choice(
                "It is refuted: batch normalization does not reduce the shift.",
                "By the measure of this chapter it does, in this network and at its three "
                "rates. At a lower one it does not, and others found no reduction in theirs.",
            ),
            choice(
                "It is open: a smooth loss makes the shift small as well. Change one of the "
                "two alone.",
                "A gradient that changes little under any step changes little when the lower "
                "layers move. Only a control separates the two.",
                correct=True,
            ),
            choice(
                "It is settled by the theory for one layer.",
                "That proof is about the loss and its gradient with respect to one layer. It "
                "says nothing about this cause.",
            ),
        ],
    ),
]


# Figures of the chapter


def along_the_gradient(
    walks: Mapping[float, Mapping[str, tuple[object, object]]], reaches: Sequence[float]
) -> np.ndarray:
    """The loss above and the gradient's relative change below, a column for each rate.

    Each network of a rate has its losses and its changes, both of shape (reaches, runs).
    """
    rows = "loss", "change of the gradient"
    panels = plt.subplots(2, len(walks), figsize=(7.6, 4.6), sharex=True, squeeze=False)[1]
    for column, (lr, networks) in zip(panels.T, walks.items(), strict=True):
        for i, (name, measures) in enumerate(networks.items()):
            look = appearance(name, i) | {"markersize": 4}
            band = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
            for axes, group in zip(column, measures, strict=True):
                runs = to_numpy(group).astype(float)
                axes.fill_between(reaches, runs.min(1), runs.max(1), **band)
                axes.plot(reaches, runs.mean(1), label=name, **look)
        column[0].set_title(f"learning rate {lr:g}", fontsize=10)
    for axes, label in zip(panels[:, 0], rows, strict=True):
        axes.set_ylabel(label)
    panels[0, 0].legend(fontsize=8)
    panels[0, 0].figure.supxlabel("step along the gradient (learning rates)", fontsize=10)
    return panels


def accuracy_by_step(
    curves: Mapping[str, Mapping[str, object]], steps: Mapping[str, int]
) -> np.ndarray:
    """Accuracy against steps, a panel for each title: runs as dots, their means as lines.

    The curves of a network have shape (marks, runs); the marks divide a panel's steps evenly.
    """
    size = (7.4, 4.8)
    rows = -(-len(curves) // 2)
    grid = {"figsize": size, "sharey": True, "squeeze": False}
    panels = plt.subplots(rows, 2, **grid)[1]
    for axes, (title, networks) in zip(panels.flat, curves.items(), strict=True):
        for i, (name, group) in enumerate(networks.items()):
            runs, look = to_numpy(group).astype(float), appearance(name, i)
            marks = steps[title] * np.arange(1, len(runs) + 1) // len(runs)
            dots = {"color": look["color"], "alpha": 0.4, "markersize": 3.5}
            axes.plot(marks, runs, look["marker"], **dots)
            axes.plot(marks, runs.mean(1), label=name, **look | {"markersize": 4})
        axes.set(xticks=marks, ylim=(0, 100))
        axes.set_title(title, fontsize=10)
    for axes in panels[-1]:
        axes.set_xlabel("step")
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy (%)")
    panels.flat[0].legend(fontsize=8)
    return panels


def gradient_by_layer(
    squares: Mapping[str, Sequence[float]], growth: float, ylim: tuple[float, float]
) -> Axes:
    """Squared gradient norm of each layer, on a logarithmic axis, with a theory's slope."""
    ax = new_axes()
    for i, (name, series) in enumerate(squares.items()):
        look = appearance(name, i) | {"markersize": 4}
        ax.plot(range(1, len(series) + 1), to_numpy(series), label=name, **look)
    first = to_numpy(next(iter(squares.values())))
    depth = np.arange(1, len(first) + 1)
    line = first[-1] * growth ** (len(first) - depth.astype(float))
    ax.plot(depth, line, ":", color=COLORS["reference"], linewidth=2.5, label="theory")
    ax.set(yscale="log", xlabel="layer", ylabel="squared gradient norm", ylim=ylim)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax
