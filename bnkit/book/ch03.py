"""Chapter 3: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from bnkit.book.exercise import Exercise
from bnkit.book.mistakes_ch03 import (
    BY_HAND,
    CORRECTED_MEAN,
    EVAL,
    FREEZE,
    RUNNING,
    RUNNING_STATISTICS,
    TO_PYTORCH,
)
from bnkit.book.mistakes_ch03 import FORGOTTEN as FORGOTTEN
from bnkit.book.observe import Facets, Probe, as_seen, calls, scattered
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS", "running_statistics"]

CHAPTER = "03_two_modes"


def update(running_mean, running_var, x, momentum):
    mean, var = x.mean(dim=0), x.var(dim=0)  # the unbiased variance is kept
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * var
    return running_mean, running_var


def _lerp(running_mean: Tensor, running_var: Tensor, x: Tensor, momentum: float) -> tuple:
    return running_mean.lerp(x.mean(0), momentum), running_var.lerp(x.var(0), momentum)


def _probe(mean: list, var: list, x: list, momentum: float) -> Probe:
    inputs = {
        "running_mean": torch.tensor(mean),
        "running_var": torch.tensor(var),
        "x": torch.tensor(x),
        "momentum": momentum,
    }
    return calls(inputs, ("running_mean", "running_var"))


_FAINT = scattered(5, 2) / 100


def _faintly(update: Callable) -> Facets:
    """What is kept of a faint batch alone, in units of its own size."""
    kept = update(torch.zeros(2), torch.zeros(2), _FAINT.clone(), 1.0)
    both = isinstance(kept, (tuple, list)) and len(kept) == 2
    return {"10,000 times running_var": as_seen(kept[1]) * 1e4 if both else None}


_RUNNING_STATISTICS = Exercise(
    name="running_statistics",
    chapter=CHAPTER,
    title="Running statistics",
    statement="Write `update(running_mean, running_var, x, momentum)` for `x` of shape (N, C): "
    "return both running statistics after one batch, as two tensors of shape (C,). As in PyTorch, "
    "`momentum` weights the new value, and the variance is the unbiased one. Only values are "
    "looked at.",
    hints=(
        "Both follow one rule: keep a share of the old value, add a share of the new one.",
        "With momentum 0.1, how much of the old value is left?",
        "Which of the two variances is an estimate for all data?",
    ),
    solution=update,
    oracle=_lerp,
    probes=[
        _probe([0.0], [1.0], [[3.0], [7.0]], 0.1),
        _probe([1.0, -2.0], [4.0, 0.5], [[1.0, 5.0], [2.0, 0.0], [6.0, 1.0]], 0.3),
        _probe([1.0, 3.0], [2.0, 0.5], [[1.0, 5.0], [2.0, -4.0]], 0.25),
        _probe([0.5, 2.0, -1.0], [1.0, 0.5, 3.0], scattered(8, 3).tolist(), 0.15),
        Probe({"running_var": "zeros", "x": _FAINT, "momentum": 1.0}, _faintly, essential=False),
    ],
    mistakes=RUNNING_STATISTICS,
    section=RUNNING,
    in_book=False,
)  # fmt: skip


def to_pytorch(keras_momentum):
    return 1 - keras_momentum


_TO_PYTORCH = Exercise(
    name="to_pytorch",
    chapter=CHAPTER,
    title="Convert",
    statement="Write `to_pytorch(keras_momentum)`: return the momentum, a number, that makes "
    "PyTorch's layer move as Keras' layer does.",
    hints=(
        "Write down one update in both conventions. Which factor stands before the batch's mean?",
        "Keras' default is 0.99. Does it move fast or slowly, and what would PyTorch make of that "
        "number?",
    ),
    solution=to_pytorch,
    oracle=lambda keras_momentum: -(keras_momentum - 1),
    probes=[calls({"keras_momentum": value}, ("momentum",)) for value in (0.75, 0.99, 0.5, 0.2)],
    mistakes=TO_PYTORCH,
    section=RUNNING,
)  # fmt: skip


def corrected_mean(batch_means, momentum):
    running, corrected = torch.zeros_like(batch_means[0]), []
    for t, mean in enumerate(batch_means, start=1):
        running = (1 - momentum) * running + momentum * mean
        corrected.append(running / (1 - (1 - momentum) ** t))
    return torch.stack(corrected)  # (T, C)


def _weighted(batch_means: Tensor, momentum: float) -> Tensor:
    """The same as an average: batch i counts (1 - momentum) to the power t - i."""
    rows = []
    for t in range(1, len(batch_means) + 1):
        weights = (1 - momentum) ** torch.arange(t - 1.0, -1.0, -1.0)  # (t,)
        rows.append((weights[:, None] * batch_means[:t]).sum(0) / weights.sum())
    return torch.stack(rows)


_MEANS = torch.tensor([[2.0, 1.0], [4.0, -1.0], [3.0, 5.0]])


_CORRECTED_MEAN = Exercise(
    name="corrected_mean",
    chapter=CHAPTER,
    title="Remove the start",
    statement="Write `corrected_mean(batch_means, momentum)` for means of shape (T, C): start a "
    "running mean at 0, in which `momentum` weights the new value, and return, for each of the T "
    "batches, its value divided by the share that the batches have in it: a tensor (T, C), or a "
    "list of its rows.",
    hints=(
        "First compute the running mean after every batch, without any correction.",
        "What weight does the starting value still have after t batches? The rest is the batches' "
        "share.",
        "Correct what you return, not what you carry on with.",
    ),
    solution=corrected_mean,
    oracle=_weighted,
    probes=[
        calls({"batch_means": _MEANS[:1, :1], "momentum": 0.1}),
        calls({"batch_means": _MEANS, "momentum": 0.3}),
        calls({"batch_means": scattered(6, 3), "momentum": 0.15}),
    ],
    mistakes=CORRECTED_MEAN,
    section=BY_HAND,
)  # fmt: skip


def freeze(model):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            module.eval()


def _freeze_all(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _moved(norm: nn.Module) -> str:
    """Whether statistics left their start; the mean alone may not, where dropout leaves zeros."""
    if norm.running_mean is None or norm.running_var is None:
        return "gone"
    return "move" if norm.running_mean.any() or (norm.running_var != 1).any() else "stay"


def _fixed(norm: nn.Module) -> str:
    return "learn" if norm.weight.requires_grad else "fixed"


def _nested() -> nn.Sequential:
    """All three classes of the layer, the deepest in a block of a block."""
    volumes = nn.Sequential(nn.BatchNorm2d(2), nn.Unflatten(3, (1, 1)), nn.BatchNorm3d(2))
    images = nn.Sequential(
        nn.BatchNorm1d(2), nn.Unflatten(1, (2, 1, 1)), nn.BatchNorm2d(2), volumes
    )
    first = [nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)]
    model = nn.Sequential(*first, images, nn.Flatten(), nn.BatchNorm1d(2)).train()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    return model


def _moves_after(freeze: Callable) -> Facets:
    """Which statistics move in a training step of a frozen model, and what else was switched.

    Fixed parameters are no fault, so they are looked at only where statistics move.
    """
    model = _nested()
    images, norms = model[3], [m for m in model.modules() if hasattr(m, "running_mean")]
    freeze(model)
    model(torch.tensor([[1.0, 5.0], [3.0, 7.0]]))
    still = _moved(norms[0]) == _moved(norms[1]) == "move"
    return {
        "statistics of the first layer": _moved(norms[0]),
        "statistics of the last layer": _moved(norms[-1]),
        "statistics of rows in a block": _moved(images[0]),
        "statistics of images in a block": _moved(images[2]),
        "statistics of images in a block of a block": _moved(images[3][0]),
        "statistics of volumes": _moved(images[3][2]),
        "dropout": "on" if model[2].training else "off",
        "linear layer": "training" if model[0].training else "evaluation",
        "parameters": _fixed(norms[0]) if still else None,
    }


def _moves_of_images(freeze: Callable) -> Facets:
    """The same where images and volumes are normalized outside, and rows in a block."""
    rows = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(2))
    outside = [nn.Unflatten(1, (2, 1, 1)), nn.BatchNorm2d(2)]
    model = nn.Sequential(*outside, nn.Unflatten(3, (1, 1)), nn.BatchNorm3d(2), rows).train()
    freeze(model)
    model(torch.tensor([[1.0, 5.0], [3.0, 7.0]]))
    return {
        "statistics of images outside": _moved(model[1]),
        "statistics of volumes outside": _moved(model[3]),
        "statistics of rows in a block": _moved(rows[1]),
    }


_FREEZE = Exercise(
    name="freeze",
    chapter=CHAPTER,
    title="Freeze",
    statement="Write `freeze(model)`: after it, the running statistics of no batch normalization "
    "in this model move when it is trained on, and every other layer stays in training mode. "
    "Whether parameters are fixed as well is not looked at.",
    hints=(
        "Running statistics are no parameters. What else decides whether they move?",
        "A model may hold models. Which method walks through all of them?",
        "There are three classes of the layer: 1d, 2d and 3d.",
    ),
    solution=freeze,
    oracle=_freeze_all,
    probes=[
        Probe(
            {"model": "Linear → BatchNorm1d → Dropout → (BatchNorm1d → BatchNorm2d → "
             "(BatchNorm2d → BatchNorm3d)) → BatchNorm1d"},
            _moves_after,
        ),
        Probe({"model": "BatchNorm2d → BatchNorm3d → (BatchNorm1d)"}, _moves_of_images),
    ],
    mistakes=FREEZE,
    section=EVAL,
)  # fmt: skip

EXERCISES = [_RUNNING_STATISTICS, _TO_PYTORCH, _CORRECTED_MEAN, _FREEZE]

IN_TEXT = {
    "03-momentum": Question(
        "A Keras model uses `momentum=0.99` and `epsilon=0.001`. Which PyTorch layer behaves like "
        "it?",
        [
            choice(
                "`nn.BatchNorm1d(C, momentum=0.99, eps=1e-3)`",
                "That one forgets 99 % of its statistics at each batch.",
            ),
            choice(
                "`nn.BatchNorm1d(C, momentum=0.01, eps=1e-3)`",
                "The two conventions add up to 1.",
                correct=True,
            ),
            choice(
                "`nn.BatchNorm1d(C)`, the defaults match",
                "Neither does: PyTorch's defaults are `momentum=0.1` and `eps=1e-5`.",
            ),
            choice(
                "`nn.BatchNorm1d(C, momentum=0.01)`",
                r"The memory is right now, but \(\epsilon\) is a hundred times smaller.",
            ),
        ],
    ),
    "03-single": Question(
        "Why does PyTorch refuse one value per channel in training mode, and not in eval mode?",
        [
            choice("The mean of one value is undefined.", "It is defined: the value itself."),
            choice(
                r"The variance is 0 and \(x - \mu\) is 0, so the output would be \(\beta\) "
                "whatever the input.",
                "The example would be erased. In eval mode the stored statistics are used, and "
                "one example is enough.",
                correct=True,
            ),
            choice(
                "The gradient would explode.",
                "It would be zero: the output does not depend on the input.",
            ),
        ],
    ),
}


QUESTIONS = [
    Question(
        "One channel, a batch of 4 values with biased variance 6. `running_var` is 1 and "
        "PyTorch's `momentum` is 0.1. What is `running_var` after this batch?",
        answer=1.7,
        feedback={
            "right": r"\( 0.9 \cdot 1 + 0.1 \cdot \frac{4}{3} \cdot 6 \): the unbiased 8 is "
            "stored, though the batch was normalized with 6.",
            "wrong": "Turn the biased variance into the unbiased one, then move a tenth of "
            "the way from 1 towards it.",
            1.5: "That stores the biased variance. Averaged over many batches it stays too small.",
            7.3: "Momentum on the wrong side: in PyTorch 0.1 is the weight of the new value.",
            5.5: "Two slips: momentum on the wrong side, and the biased variance.",
            0.8: "That is the new value's share. The old value keeps nine tenths of its own.",
        },
    ),
    Question(
        "You run the test set twice under `torch.no_grad()`, the same batches in the same "
        "order, but without `eval()`. What differs between the two runs?",
        [
            choice(
                "The accuracy, because the running statistics have moved.",
                "They have moved, but in training mode nobody reads them: each batch is "
                "normalized with its own mean and variance.",
            ),
            choice(
                "The accuracy, because batch statistics are random.",
                "They are a function of the batch. What is random is which examples share "
                "one, and here that is fixed.",
            ),
            choice(
                "Nothing: `no_grad` leaves the model as it is.",
                "It stops autograd from recording. Buffers are updated without autograd.",
            ),
            choice(
                "The running statistics, and not the accuracy.",
                "So two equal results prove nothing about the mode. Print `running_mean` "
                "before and after, or shuffle the batches.",
                correct=True,
            ),
        ],
    ),
]


# Figures of the chapter


def running_statistics(
    mean: Sequence[float],
    var: Sequence[float],
    *,
    true_mean: float,
    true_var: float,
) -> Sequence[Axes]:
    """Running mean and running variance over the batches, against the truth."""
    ax = plt.subplots(1, 2, figsize=(7, 2.6))[1]
    panels = {"running mean": (mean, true_mean), "running variance": (var, true_var)}
    for axes, (title, (path, truth)) in zip(ax, panels.items(), strict=True):
        axes.plot(range(1, len(path) + 1), path, color=COLORS["bn"])
        axes.axhline(truth, color=COLORS["reference"], linestyle="--")
        axes.set(title=title, xlabel="batches seen", ylim=(min(0.0, *path), 2 * truth))
    return ax
