"""Chapter 3: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from bnkit.book.ch02 import AXES
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, calls
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS", "running_statistics"]

CHAPTER = "03_two_modes"

FORGOTTEN = "03_two_modes.ipynb#A forgotten `eval()`, measured"
BY_HAND = "03_two_modes.ipynb#A running mean by hand"
MEMORY = "03_two_modes.ipynb#How long is its memory?"
RUNNING = "03_two_modes.ipynb#The equation"
EVAL = "03_two_modes.ipynb#What the layer computes in eval mode"
UNBIASED = "03_two_modes.ipynb#Why store the unbiased variance?"


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


_RUNNING_STATISTICS = Exercise(
    name="running_statistics",
    chapter=CHAPTER,
    title="Running statistics",
    statement="Write `update(running_mean, running_var, x, momentum)` for `x` of shape (N, C): "
    "return both running statistics after one batch. As in PyTorch, `momentum` weights "
    "the new value.",
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
    ],
    mistakes=[
        Mistake("momentum on the wrong side", RUNNING,
            (
                "(1 - momentum) * running_mean + momentum * mean -> momentum * running_mean + (1 "
                "- momentum) * mean",
                "(1 - momentum) * running_var + momentum * var -> momentum * running_var + (1 - "
                "momentum) * var",
            ),
            "With momentum 0.1, how much of the old value should be left after one batch? "
            "PyTorch's momentum weights the new one."),
        Mistake("biased running variance", UNBIASED, "x.var(dim=0) -> x.var(dim=0, unbiased=False)",
            "The running variance estimates that of all data from a few. By which number must the "
            "sum of squares be divided for that?"),
        Mistake("correction upside down", UNBIASED,
            "x.var(dim=0) -> x.var(dim=0, unbiased=False) * (len(x) - 1) / len(x)",
            "Is the unbiased variance larger or smaller than the biased one? And yours?"),
        Mistake("standard deviation in running_var", RUNNING, "x.var(dim=0) -> x.std(dim=0)",
            "The name of the buffer says what it holds. Scale x by 10: by how much should it "
            "grow?"),
        Mistake("overwritten by the last batch", MEMORY,
            (
                "(1 - momentum) * running_mean + momentum * mean -> mean",
                "(1 - momentum) * running_var + momentum * var -> var",
            ),
            "What do your running statistics remember of the batches before the last one?"),
        Mistake("old value not reduced", MEMORY, Patch("(1 - momentum) * ", "", all=True),
            "Feed the same batch again and again. Where does your running mean go?"),
        Mistake(
            "new value not weighted", BY_HAND, ("momentum * mean -> mean", "momentum * var -> var"),
            "The weights of the old and the new value should add up to 1. Do yours?",
        ),
        Mistake("variance around the running mean", RUNNING,
            "x.var(dim=0) -> ((x - running_mean) ** 2).sum(dim=0) / (len(x) - 1)",
            "Around which mean are the squared distances of this batch taken?"),
        Mistake("mean and variance swapped", RUNNING,
            "return running_mean, running_var -> return running_var, running_mean",
            "Compare the order in which you return the two with the one asked for."),
        Mistake("wrong axis", AXES,
            (
                "(1 - momentum) * running_mean + momentum * mean -> momentum * mean + (1 - "
                "momentum) * running_mean",
                "(1 - momentum) * running_var + momentum * var -> momentum * var + (1 - momentum) "
                "* running_var",
                Patch("dim=0", "dim=1", all=True),
            ),
            "There is one running mean for each feature. Over what is it a mean?"),
        Mistake("running_var left alone", BY_HAND,
            Patch("    running_var = (1 - momentum) * running_var + momentum * var\n", ""),
            "Evaluation needs two statistics. Which of yours moves?"),
    ],
    section=RUNNING,
    in_book=False,
)  # fmt: skip


def to_pytorch(keras_momentum):
    return 1 - keras_momentum


_TO_PYTORCH = Exercise(
    name="to_pytorch",
    chapter=CHAPTER,
    title="Convert",
    statement="Write `to_pytorch(keras_momentum)`: return the momentum that makes PyTorch's layer "
    "move as Keras' layer does.",
    hints=(
        "Write down one update in both conventions. Which factor stands before the batch's mean?",
        "Keras' default is 0.99. Does it move fast or slowly, and what would PyTorch make of that "
        "number?",
    ),
    solution=to_pytorch,
    oracle=lambda keras_momentum: -(keras_momentum - 1),
    probes=[calls({"keras_momentum": value}, ("momentum",)) for value in (0.75, 0.99, 0.5)],
    mistakes=[
        Mistake("momentum left as it is", RUNNING, "1 - keras_momentum -> keras_momentum",
            "Keras's 0.99 keeps 99 % of the old value. What does PyTorch's 0.99 keep?"),
        Mistake("momentum inverted", RUNNING, "1 - keras_momentum -> 1 / keras_momentum",
            "A weight lies between 0 and 1. Which two weights add up to 1?"),
        Mistake("momentum negative", RUNNING, "1 - keras_momentum -> keras_momentum - 1",
            "A weight lies between 0 and 1. What is the sign of yours?"),
    ],
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
    "running mean at 0 and return, for each of the T batches, its value divided by the "
    "share that the batches have in it.",
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
    ],
    mistakes=[
        Mistake("start not corrected", BY_HAND, "running / (1 - (1 - momentum) ** t) -> running",
            "After one batch there is one thing to average. Does your value equal it?"),
        Mistake("power of momentum", MEMORY, "(1 - (1 - momentum) ** t) -> (1 - momentum**t)",
            "Which weight has the starting value after t batches: m to the power t, or another "
            "number?"),
        Mistake("batches counted from zero", MEMORY, "start=1 -> start=0",
            "By what do you divide after the first batch?"),
        Mistake("same correction for every batch", MEMORY, "(1 - (1 - momentum) ** t) -> momentum",
            "The starting value fades. Should the correction grow, shrink or stay?"),
    ],
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
    moved = norm.running_mean.any() or (norm.running_var != 1).any()
    return "move" if moved else "stay"


def _fixed(norm: nn.Module) -> str:
    return "learn" if norm.weight.requires_grad else "fixed"


def _moves_after(freeze: Callable) -> Facets:
    """Which statistics move in a training step of a frozen model, and what else was switched.

    Fixed parameters are no fault, so they are looked at only where statistics move.
    """
    layer = nn.BatchNorm1d(2)
    images = nn.Sequential(layer, nn.Unflatten(1, (2, 1, 1)), nn.BatchNorm2d(2))
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), images).train()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    freeze(model)
    model(torch.tensor([[1.0, 5.0], [3.0, 7.0]]))
    return {
        "outer statistics": _moved(model[1]),
        "inner statistics": _moved(images[2]),
        "dropout": "on" if model[2].training else "off",
        "inner statistics of rows": _moved(layer),
        "parameters": _fixed(layer) if _moved(layer) == _moved(model[1]) == "move" else None,
    }


_FREEZE = Exercise(
    name="freeze",
    chapter=CHAPTER,
    title="Freeze",
    statement="Write `freeze(model)`: after it, the running statistics of no batch normalization "
    "in the model move, and every other layer stays in training mode.",
    hints=(
        "Running statistics are no parameters. What else decides whether they move?",
        "A model may hold models. Which method walks through all of them?",
        "There are three classes of the layer: 1d, 2d and 3d.",
    ),
    solution=freeze,
    oracle=_freeze_all,
    probes=[
        Probe(
            {"model": "Linear → BatchNorm1d → Dropout → (BatchNorm1d → BatchNorm2d)"}, _moves_after
        )
    ],
    mistakes=[
        Mistake(
            "requires_grad taken for frozen", EVAL, "module.eval() -> module.requires_grad_(False)",
            "Are running statistics parameters? What moves them?",
        ),
        Mistake("whole model in eval mode", FORGOTTEN, "module.eval() -> model.eval()",
            "Which other layers behave differently in training, and should go on doing so?"),
        Mistake("nested layers missed", EVAL, "model.modules() -> model.children()",
            "Does your loop reach a layer inside a block inside the model? Compare children() "
            "with modules()."),
        Mistake("only one of the three classes", EVAL,
            "(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) -> nn.BatchNorm1d",
            "Which class has the layer after a convolution?",
            ("(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) -> nn.BatchNorm2d",)),
        Mistake("nothing frozen", EVAL, "module.eval() -> pass",
            "Call your function, then print `training` of every module. Which of them changed?",
            ("module.eval() -> module.eval()\n    model.train()",)),
    ],
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
