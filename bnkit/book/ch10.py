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
from bnkit.book.observe import LOSS, Facets, Probe, as_seen
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
            if isinstance(layer, nn.BatchNorm1d) and layer.affine:
                layer.weight.copy_(torch.tensor([2.0, 0.5]))
                layer.bias.copy_(torch.tensor([0.25, -1.0]))
    return module


def _gradient(output: Tensor, leaf: Tensor) -> Tensor | None:
    """Of the inputs beside the kink of ReLU; None where the output was written in place."""
    if not output.requires_grad:
        return as_seen(torch.zeros_like(leaf))
    factors = 2.0 ** torch.arange(output.numel()).view_as(output)
    try:
        (found,) = torch.autograd.grad((output * factors).sum(), leaf, allow_unused=True)
    except RuntimeError:
        return None
    return as_seen((torch.zeros_like(leaf) if found is None else found) * (leaf != 0))


def _kept(norms: list[nn.Module]) -> Tensor | str:
    """The running mean of the first normalization."""
    mean = norms[0].running_mean if norms else None
    return "none is kept" if mean is None else as_seen(mean)


def _skips(mode: str, h: Tensor = BATCH, essential: bool = True) -> Probe:
    def run(cls: Callable) -> Facets:
        block = cls(2)
        block(BATCH.clone())  # layers of the kind nn.Lazy… have their parameters from now on
        norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm1d)]
        for norm in norms:
            norm.reset_running_stats()
        fill_block(block).train(mode == "training")
        layers = sorted(type(m).__name__ for m in block.modules() if [*m.parameters(False)])
        leaf = h.clone().requires_grad_()
        output = block(leaf * 1)
        return {
            "layers with parameters": ", ".join(layers),
            "output": as_seen(output),
            f"gradient of h, {LOSS}": _gradient(output, leaf),
            "running_mean": _kept(norms),
        }

    return Probe({"h": h, "mode": mode}, run, essential)


class _Branch(nn.Module):
    """The same block with its branch as a Sequential."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.BatchNorm1d(width))

    def forward(self, h: Tensor) -> Tensor:
        return torch.add(self.branch(h), h)


_SUM = "h + self.norm(self.linear(h.relu()))"
_SKIP_BLOCK = Exercise(
    name="skip_block",
    chapter=CHAPTER,
    title="Skip connections",
    statement="Write a module `Skip(width)` that computes h + BN(W relu(h)) for inputs of shape "
    "(N, width), with one `nn.Linear` and one `nn.BatchNorm1d` with its default arguments. The "
    "gradient flows through both paths.",
    hints=(
        "Read the formula from the inside: what happens to h first?",
        "The addition comes last, and what is added is the h that came in.",
    ),
    solution=Skip,
    oracle=_Branch,
    probes=[
        _skips("training"),
        _skips("evaluation"),
        _skips("evaluation", 5 * BATCH),
        _skips("training", BATCH / 100, essential=False),
    ],
    mistakes=[
        Mistake("skip connection missing", DEPTH, "return h + -> return",
            "Set the weight and the bias of your normalization to 0. What should be left?",
            (f"{_SUM} -> self.norm(self.linear(h.relu())) * 2",)),
        Mistake("ReLU missing", DEPTH, "h.relu() -> h",
            "Feed an h that is negative everywhere. What does the branch see of it?"),
        Mistake("ReLU on the skip path too", DEPTH, "return h + -> return h.relu() +",
            "Can the value that your block adds to be negative?"),
        Mistake("ReLU after the addition", ADDITION,
            "h + self.norm(self.linear(h.relu())) -> (h + self.norm(self.linear(h))).relu()",
            "In which order do h, the matrix and the ReLU meet in the formula?",
            (
                f"{_SUM} -> (h + self.linear(self.norm(h))).relu()",
                "h + self.norm(self.linear(h.relu())) -> (h + "
                "self.norm(self.linear(h.relu()))).relu()",
            )),
        Mistake("ReLU at the end of the branch", DEPTH,
            "h + self.norm(self.linear(h.relu())) -> h + self.norm(self.linear(h)).relu()",
            "Can your branch ever subtract something from h?",
            (f"{_SUM} -> h + self.norm(self.linear(h.relu())).relu()",)),
        Mistake("ReLU between matrix and normalization", DEPTH,
            f"{_SUM} -> h + self.norm(self.linear(h).relu())",
            "Read the formula from the inside: which of the two meets h first?",
            (f"{_SUM} -> h + self.norm(self.linear(h.relu()).relu())",)),
        Mistake("another activation than ReLU", DEPTH, "h.relu() -> F.gelu(h)",
            "What should the activation make of -1, and of 10?",
            ("h.relu() -> F.leaky_relu(h)", "h.relu() -> F.leaky_relu(h, 0.1)",
             "h.relu() -> F.leaky_relu(h, 0.2)", "h.relu() -> h.tanh()", "h.relu() -> h.sigmoid()",
             "h.relu() -> F.elu(h)", "h.relu() -> F.silu(h)", "h.relu() -> F.softplus(h)",
             "h.relu() -> F.relu6(h)", "h.relu() -> h.abs()", "h.relu() -> F.selu(h)",
             "h.relu() -> F.hardtanh(h)", 'h.relu() -> F.gelu(h, approximate="tanh")',
             "h.relu() -> h.clamp(0, 1)", "h.relu() -> (-h).relu()", "h.relu() -> -h.relu()",
             "h.relu() -> h.clamp(max=0)", "h.relu() -> F.mish(h)", "h.relu() -> h.relu()**2")),
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
            "Print your block. Which two layers should it hold?",
            ("self.norm(self.linear(h.relu())) -> self.linear(h.relu())",)),
        Mistake("matrix missing", DEPTH, "self.linear(h.relu()) -> h.relu()",
            "Which layer of your block does forward never call?",
            (f"{_SUM} -> h + self.norm(h).relu()",
             (Patch("        self.linear = nn.Linear(width, width)\n", ""),
              "self.linear(h.relu()) -> h.relu()"))),
        Mistake("multiplied in place of added", DEPTH, "return h + -> return h *",
            "Set the branch to 0. Should h be lost?"),
        Mistake("subtracted in place of added", DEPTH, "return h + -> return h -",
            "Which sign stands between h and the branch?",
            (f"{_SUM} -> self.norm(self.linear(h.relu())) - h",)),
        Mistake("sum scaled", DEPTH, f"{_SUM} -> ({_SUM}) / 2",
            "Set the branch to 0. Is h left as it came?",
            (f"{_SUM} -> ({_SUM}) / 2**0.5", f"{_SUM} -> ({_SUM}) * 2",
             f"{_SUM} -> h + h + self.norm(self.linear(h.relu()))",
             f"{_SUM} -> h / 2 + self.norm(self.linear(h.relu()))",
             f"{_SUM} -> h + self.norm(self.linear(h.relu())) / 2",
             f"{_SUM} -> h + self.norm(self.linear(h.relu())) * 2")),
        Mistake("joined in place of added", DEPTH,
            f"{_SUM} -> torch.cat([h, self.norm(self.linear(h.relu()))], dim=1)",
            "Which shape should come out?",
            (f"{_SUM} -> torch.cat([self.norm(self.linear(h.relu())), h], dim=1)",
             f"{_SUM} -> torch.cat([h, self.norm(self.linear(h.relu()))])")),
        Mistake("something done to h on the skip path", DEPTH,
            "return h + -> return self.norm(h) +",
            "What is added is the h that came in, as it came.",
            ("return h + -> return self.linear(h) +",
             "return h + -> return self.linear(h.relu()) +",
             "return h + -> return self.norm(self.linear(h)) +",
             "return h + -> return h.tanh() +")),
        Mistake("a layer used twice", DEPTH,
            "self.linear(h.relu()) -> self.linear(self.linear(h.relu()))",
            "How often does the formula contain W, and how often BN?",
            ("self.norm(self.linear(h.relu())) -> self.norm(self.norm(self.linear(h.relu())))",
             "self.norm(self.linear(h.relu())) -> self.norm(self.linear(self.norm(h.relu())))",
             "self.norm(self.linear(h.relu())) -> self.norm(self.linear(self.norm(h).relu()))",
             f"{_SUM} -> h + self.norm(self.linear(self.norm(self.linear(h.relu())).relu()))",
             f"{_SUM} -> self.norm({_SUM})")),
        Mistake("gradient cut on the skip path", DEPTH, "return h + -> return h.detach() +",
            "The values are right. What reaches h if the branch gives nothing back?"),
        Mistake("gradient cut in the branch", DEPTH,
            f"{_SUM} -> h + self.norm(self.linear(h.relu())).detach()",
            "The values are right. Which way does the gradient take back to h?",
            ("h.relu() -> h.detach().relu()",)),
        Mistake("another normalization than nn.BatchNorm1d", DEPTH,
            "nn.BatchNorm1d(width) -> nn.LayerNorm(width)",
            "Print your block. Which two layers should it hold?",
            ("nn.BatchNorm1d(width) -> nn.GroupNorm(1, width)",
             "nn.BatchNorm1d(width) -> nn.GroupNorm(width, width)",
             "nn.BatchNorm1d(width) -> nn.RMSNorm(width)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, affine=False)")),
        Mistake("batch statistics in evaluation, too", DEPTH,
            "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, track_running_stats=False)",
            "In evaluation a single example must do. Does it, in your block?",
            (f"{_SUM} -> h + F.batch_norm(self.linear(h.relu()), None, None, self.norm.weight, "
             "self.norm.bias, training=True)",)),
        Mistake("another eps or momentum than the default", DEPTH,
            "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, momentum=0.01)",
            "With which arguments is the normalization made?",
            ("nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, momentum=1.0)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, momentum=0.9)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, momentum=0.99)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, momentum=None)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, eps=1e-3)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, eps=0.1)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, eps=1e-8)",
             "nn.BatchNorm1d(width) -> nn.BatchNorm1d(width, eps=1e-3, momentum=0.01)")),
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
