"""Chapter 5, The layer by hand: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from bnkit import layers
from bnkit.book.exercise import Exercise
from bnkit.book.ingredients import IMAGES
from bnkit.book.mistakes_ch05 import LAYER_2D, REESTIMATE
from bnkit.book.mistakes_layer import AVERAGING_LAYER, LAG, LAYER, PLAIN_AVERAGE, THREE_STEPS
from bnkit.book.mistakes_layer import TWO_MODES as TWO_MODES
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.observe_layer import (
    EXAMPLES,
    attribute,
    averaging_probes,
    first_wrong_step_of_layer,
    layer_probes,
    small_net,
)
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, appearance, new_axes

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]
__all__ += ["Race", "loss_drift", "loss_gap", "note_signs", "reloaded_outputs", "switches"]

CHAPTER = "05_manual_implementation"


class Layer(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            self.update(x)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    @torch.no_grad()
    def update(self, x):
        self.running_mean.lerp_(x.mean(dim=0), self.momentum)
        self.running_var.lerp_(x.var(dim=0), self.momentum)
        self.num_batches_tracked += 1


def _start(cls: Callable) -> Facets:
    layer = cls(2)
    found = {name: attribute(layer, name) for name in ("weight", "bias")}
    layer(EXAMPLES)  # what raises has no result
    return {f"{name} at first": value for name, value in found.items()}


_FRESH = Probe({"num_features": 2}, _start, essential=False)


_LAYER = Exercise(
    name="layer",
    chapter=CHAPTER,
    title="The layer",
    statement="Write a module `Layer(num_features, eps=1e-5, momentum=0.1)` for inputs of shape "
    "(N, C) that does in both modes what `nn.BatchNorm1d` does, gradients included, with the same "
    "names in its `state_dict`.",
    hints=(
        "Two tensors are learned, three are only kept. Which of `nn.Parameter` and "
        "`register_buffer` is for which?",
        "Training normalizes with the biased variance and keeps the unbiased one.",
        "The update belongs under `torch.no_grad()`, the batch's own mean and variance do not.",
    ),
    solution=Layer,
    oracle=layers.BatchNorm1d,
    probes=[*layer_probes(()), _FRESH],
    mistakes=LAYER,
    section=THREE_STEPS,
    locate=first_wrong_step_of_layer,
    in_book=False,
)  # fmt: skip


class Averaging(nn.Module):
    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            self.update(x)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    @torch.no_grad()
    def update(self, x):
        self.num_batches_tracked += 1  # a buffer, so that a file keeps the count
        share = 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(x.mean(dim=0), share)
        self.running_var.lerp_(x.var(dim=0), share)


# Here a count that stands still divides by 0, and an absent one raises as any misspelled name does.
_AVERAGING_LAYER = Exercise(
    name="averaging_layer",
    chapter=CHAPTER,
    title="`momentum=None`",
    statement="Write a module `Averaging(num_features)` that does what "
    "`nn.BatchNorm1d(num_features, momentum=None)` does for inputs of shape (N, C), gradients "
    "and the names in its `state_dict` included: every batch counts alike, also after saving and "
    "loading.",
    hints=(
        "After t batches each of them should weigh 1/t. How much must the newest one weigh?",
        "Where is the number of batches kept so that `state_dict` holds it?",
        "The count grows before the share is taken, or the first batch weighs 1/0.",
    ),
    solution=Averaging,
    oracle=partial(layers.BatchNorm1d, momentum=None),
    probes=[*averaging_probes(), *(p for p in layer_probes(()) if "eps" not in p.inputs), _FRESH],
    mistakes=AVERAGING_LAYER,
    section=PLAIN_AVERAGE,
)  # fmt: skip


class BatchNorm2dAsRows(nn.BatchNorm1d):
    def forward(self, x):  # (N, C, H, W)
        last = x.movedim(1, -1)  # (N, H, W, C)
        rows = last.reshape(-1, last.shape[-1])  # (N * H * W, C)
        return super().forward(rows).view(last.shape).movedim(-1, 1)


_LAYER_2D = Exercise(
    name="layer_2d",
    chapter=CHAPTER,
    title="Every position is an example",
    statement="Write a module `BatchNorm2dAsRows(num_features, eps=1e-5, momentum=0.1)` for inputs "
    "of shape (N, C, H, W), on top of the unchanged `forward` of a BatchNorm1d. It does what "
    "`nn.BatchNorm2d` does, in both modes, gradients included.",
    hints=(
        "BatchNorm1d takes rows of C features. How many such rows does a batch of images have?",
        "`movedim` brings the channels to the end, then `reshape` makes rows.",
        "Undo both steps in reverse order.",
    ),
    solution=BatchNorm2dAsRows,
    oracle=layers.BatchNorm2d,
    probes=layer_probes((2, 2)),
    mistakes=LAYER_2D,
    section=IMAGES,
)  # fmt: skip


# Statistics from weights and data


def reestimate(model, batches):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_running_stats()
            module.momentum = None  # a plain average
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    return model.eval()


def _reestimate(model: nn.Module, batches: list[Tensor]) -> nn.Module:
    model = copy.deepcopy(model)
    update_bn(batches, model)
    return model.eval()


def _three_norms() -> nn.Sequential:
    """A layer outside, one for images in a block, one in a block of a block; already used."""
    rows = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(2))
    images = nn.Sequential(nn.Unflatten(1, (2, 1, 1)), nn.BatchNorm2d(2), rows)
    net = nn.Sequential(*small_net(), images)
    net[0].weight.data, net[0].bias.data = torch.tensor([2.0, 0.5]), torch.tensor([1.0, -1.0])
    for layer in (images[1], rows[1]):
        layer.running_mean.copy_(torch.tensor([0.5, 2.0]))
        layer.running_var.copy_(torch.tensor([3.0, 0.25]))
    return net.train()


def _reestimates(count: int, used: bool = False) -> Probe:
    batches = [EXAMPLES[:3], 2 * EXAMPLES[1:4], EXAMPLES[1:] - 3][:count]

    def run(reestimate: Callable) -> Facets:
        net = _three_norms()
        if used:
            for layer in (m for m in net.modules() if hasattr(m, "running_mean")):
                layer.num_batches_tracked.fill_(3)
            net.eval()
        found = reestimate(net, [x.clone() for x in batches])
        net = found if isinstance(found, nn.Module) else net
        return {
            "running_mean": as_seen(net[0].running_mean),
            "running_var": as_seen(net[0].running_var),
            "running_mean in a block": as_seen(net[2][1].running_mean),
            "running_var in a block of a block": as_seen(net[2][2][1].running_var),
            "weights": as_seen(torch.cat([p.detach().flatten() for p in net.parameters()])),
        }

    shown = {f"batch {i}": x for i, x in enumerate(batches, start=1)}
    model = "BatchNorm1d → Linear → (BatchNorm2d → (BatchNorm1d))"
    state = ", trained for 3 steps, in eval mode" if used else ""
    return Probe(shown | {"model": model + state}, run)


_REESTIMATE = Exercise(
    name="reestimate",
    chapter=CHAPTER,
    title="Rescue the file",
    statement="Write `reestimate(model, batches)`, for a list of batches of inputs without labels: "
    "give every `BatchNorm1d` and `BatchNorm2d` of the model, nested ones too, running statistics "
    "that are the plain average of its batches' (each batch counts alike), without changing a "
    "weight. Change this model or return another; its mode afterwards is not looked at.",
    hints=(
        "In which mode do running statistics move? What must be forgotten first?",
        "Which momentum makes all batches count alike?",
        "No gradient is needed, and nothing may be trained.",
    ),
    solution=reestimate,
    oracle=_reestimate,
    probes=[_reestimates(1), _reestimates(3), _reestimates(3, used=True)],
    mistakes=REESTIMATE,
    section=LAG,
)  # fmt: skip

EXERCISES = [_LAYER, _AVERAGING_LAYER, _LAYER_2D, _REESTIMATE]

IN_TEXT = {
    "05-place": Question(
        "The layer counts its batches in num_batches_tracked. Where does the count belong?",
        [
            choice("In a plain attribute: it is only a number.", "A resumed average needs it."),
            choice("In a buffer.", "Right: your code moves it, the file keeps it.", correct=True),
            choice("In a parameter, so that it is saved.", "No optimizer should ever find it."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "A network has three `nn.BatchNorm1d(64)`. How many numbers do they put into the "
        "`state_dict` that no optimizer moves?",
        answer=387,
        tolerance=0.5,
        feedback={
            "right": r"\( 3 \cdot (64 + 64 + 1) \): running mean, running variance, and one "
            "counter per layer.",
            "wrong": "Per layer: two buffers with one number per feature, and one more buffer.",
            384: "`num_batches_tracked` is a buffer too, one number per layer.",
            771: "That is all that they save. `weight` and `bias` belong to the optimizer.",
            0: "Buffers are in the file. A file without them would evaluate with 0 and 1.",
            192: "One vector per layer. A mean and a variance are remembered.",
        },
    ),
    Question(
        "A hand-written layer keeps `running_mean` as "
        "`nn.Parameter(..., requires_grad=False)`. Training, saving and loading work. What is "
        "the first thing to go wrong?",
        [
            choice("The first `optimizer.step()` moves it.",
                "It never gets a gradient, and PyTorch's optimizers skip a parameter whose "
                "gradient is `None`, weight decay included."),
            choice("Loading weights from PyTorch's layer, because the keys differ.",
                "A `state_dict` lists parameters and buffers by name alone. The keys agree."),
            choice("Nothing: without a gradient it is a buffer by another name.",
                "It is in `parameters()`, and whoever loops over those counts, clips, averages or "
                "unfreezes it."),
            choice("Someone unfreezes the network with `requires_grad_(True)` and trains on in "
                "eval mode.",
                "In eval mode the output depends on it, so now it has a gradient, and the "
                "optimizer trains a statistic.", correct=True),
        ],
    ),
]  # fmt: skip


# Harness and figures of the chapter


class Race(NamedTuple):
    """What a training run leaves behind at each step."""

    losses: Sequence[float]
    positive: Sequence[Tensor]  # which inputs of the activation are positive: (N, C)


def loss_gap(run: Race, other: Race) -> Tensor:
    """How far the losses of two runs lie apart at each step."""
    losses, others = torch.tensor([run.losses, other.losses], dtype=torch.float64)  # (steps,)
    return (losses - others).abs()


def switches(run: Race, other: Race) -> list[int]:
    """The steps at which an activation is positive in one run and not in the other."""
    pairs = enumerate(zip(run.positive, other.positive, strict=True))
    return [step for step, (mine, theirs) in pairs if not torch.equal(mine, theirs)]


def note_signs(activation: nn.Module) -> list[Tensor]:
    """A list that grows with each call of an activation: which of its inputs are positive."""
    masks: list[Tensor] = []
    activation.register_forward_hook(lambda _, inputs, __: masks.append(inputs[0] > 0))
    return masks


def reloaded_outputs(before: Tensor, after: Tensor, labels: Tensor) -> Axes:
    """Outputs (N, classes) of a classifier before saving against those after loading."""
    hits = [100 * (outputs.argmax(1) == labels).float().mean() for outputs in (before, after)]
    x, y = before[:100].flatten().detach(), after[:100].flatten().detach()
    ax, ends = new_axes(None, figsize=(4.6, 3.6)), x.aminmax()
    ax.plot(ends, ends, "--", color=COLORS["reference"], linewidth=1)
    ax.plot(x, y, ".", color=COLORS["bn"], markersize=3)
    ax.set_title(f"accuracy {hits[0]:.1f} % → {hits[1]:.1f} %")
    ax.set(xlabel="output before saving", ylabel="output after loading")
    return ax


_FLOOR = 1e-8  # in place of 0, on a logarithmic axis


def loss_drift(
    panels: Mapping[str, Mapping[str, Tensor]],
    marks: Mapping[str, Mapping[str, Sequence[int]]],
    window: int = 10,
) -> Sequence[Axes]:
    """The largest gap of losses in each window, a panel for each seed; triangles at the marks."""
    rows, columns = -(-len(panels) // 2), min(len(panels), 2)
    size = {"figsize": (7.2, 2.3 * rows), "squeeze": False}
    figure, grid = plt.subplots(rows, columns, sharex=True, sharey=True, **size)
    figure.supylabel("difference of the losses", color=COLORS["text"], fontsize=11)
    for ax, (title, runs) in zip(grid.ravel(), panels.items(), strict=False):
        for i, (name, gaps) in enumerate(runs.items()):
            look, steps = appearance(name, i), marks[title].get(name, ())
            ends = [min(end, len(gaps)) - 1 for end in range(window, len(gaps) + window, window)]
            largest = torch.stack([part.max() for part in gaps.split(window)]).clamp(min=_FLOOR)
            ax.plot(ends, largest, label=name, **look | {"linewidth": 1.4, "marker": ""})
            mark = {"color": look["color"], "markersize": max(10 - 4 * i, 4)}
            ax.plot(steps, [_FLOOR] * len(steps), "^", **mark)
        ax.set(title=title, yscale="log")
        ax.label_outer()
    for ax in grid.ravel()[-2:]:
        ax.set_xlabel("step")
    grid[0, 0].legend(loc="center left", bbox_to_anchor=(0, 0.58), fontsize=9)
    return grid.ravel()
