"""Chapter 6, MNIST with early stopping: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from bnkit import training
from bnkit.book.ch03 import FORGOTTEN
from bnkit.book.ch05 import TWO_MODES
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.observe_layer import EXAMPLES, small_net
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, new_axes, to_numpy
from bnkit.plots.matrices import draw_cells, name_cells

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS", "confusion_matrix", "stopping_point"]

CHAPTER = "06_mnist_early_stopping"

CANNOT = "06_mnist_early_stopping.ipynb#A log that cannot be true"
RESTORE = "06_mnist_early_stopping.ipynb#Restore, and test once"
COPIED = "06_mnist_early_stopping.ipynb#The best weights must be copied"
THE_LOSS = "06_mnist_early_stopping.ipynb#The loss, by hand"
FUNCTIONS = "06_mnist_early_stopping.ipynb#Training and validation functions"
RULE = "06_mnist_early_stopping.ipynb#When to stop: the rule on seven numbers"


# Evaluation

_Y = torch.tensor([0, 1, 0, 1, 1])


def evaluate(model, loader):
    model.eval()
    loss, hits, count = 0.0, 0, 0
    for x, y in loader:
        with torch.no_grad():
            logits = model(x)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        hits += (logits.argmax(dim=1) == y).sum().item()
        count += len(x)
    return loss / count, hits / count


def _evaluates(sizes: list[int]) -> Probe:
    count = sum(sizes)
    batches = list(zip(EXAMPLES[:count].split(sizes), _Y[:count].split(sizes), strict=True))

    def run(evaluate: Callable) -> Facets:
        net = small_net()
        loss, accuracy = evaluate(net, [(x.clone(), y.clone()) for x, y in batches])
        return {
            "loss": as_seen(loss),
            "accuracy": as_seen(accuracy),
            "running_mean afterwards": as_seen(net[0].running_mean),
        }

    shown = {f"batch {i}": x for i, (x, _) in enumerate(batches, start=1)}
    return Probe(shown | {"targets": _Y[:count]}, run)


_EVALUATE = Exercise(
    name="evaluate",
    chapter=CHAPTER,
    title="Evaluate",
    statement="Write `evaluate(model, loader)`: return the mean cross entropy and the share of "
    "right answers over all examples of the loader, whose last batch may be short.",
    hints=(
        "Which mode, and which context for the gradients?",
        "Add up over examples, and divide once at the end.",
        "Is the mean over batches the mean over examples if the last batch is short?",
    ),
    solution=evaluate,
    oracle=training.evaluate,
    probes=[_evaluates([2, 1]), _evaluates([2, 2]), _evaluates([3, 2])],
    mistakes=[
        Mistake("mean of batch means", THE_LOSS,
            (
                ', reduction="sum" -> ',
                "(logits.argmax(dim=1) == y).sum() -> (logits.argmax(dim=1) == y).float().mean()",
                "count += len(x) -> count += 1",
            ),
            "The last batch is shorter. Does each of its samples count as much as the others?",
            (
                (', reduction="sum" -> ', "loss / count -> loss / len(loader)"),
                (
                    "(logits.argmax(dim=1) == y).sum() -> (logits.argmax(dim=1) == "
                    "y).float().mean()",
                    "hits / count -> hits / len(loader)",
                ),
            )),
        Mistake("eval() forgotten", FORGOTTEN, Patch("    model.eval()\n", ""),
            "Evaluate twice. Have the running statistics moved in between?",
            ("model.eval() -> model.train()",)),
        Mistake("sums not divided", THE_LOSS, "loss / count -> loss",
            "Give the loader every sample twice. Should the loss double?",
            ((', reduction="sum" -> ', "loss / count -> loss"), "hits / count -> hits")),
        Mistake("last batch alone", FUNCTIONS,
            ("loss += -> loss =", "hits += -> hits =", "count += -> count ="),
            "Which batches are in your result? Look at what happens to the sums inside the loop."),
        Mistake("divided by the number of batches", CANNOT, "count += len(x) -> count += 1",
            "You add up over samples. What do you divide by: samples or batches?",
            ("hits / count -> hits / len(loader)",)),
        Mistake("divided by full batches", CANNOT, "count += len(x) -> count += len(loader[0][0])",
            "How many samples are there, if the last batch is short?"),
        Mistake("softmax before the cross entropy", THE_LOSS,
            "F.cross_entropy(logits, -> F.cross_entropy(logits.softmax(1),",
            "What does F.cross_entropy expect: probabilities, or the numbers before softmax?"),
        Mistake("accuracy in percent", FUNCTIONS, "hits / count -> 100 * hits / count",
            "The accuracy is asked for as a share. Between which two numbers does it lie?"),
        Mistake("error in place of accuracy", FUNCTIONS, "hits / count -> 1 - hits / count",
            "A perfect model: which accuracy do you report?"),
        Mistake("argmax over the wrong axis", FUNCTIONS, "argmax(dim=1) -> argmax(dim=0)",
            "The scores have shape (N, C). How many predictions does a batch of N images need, and "
            "over which axis is each of them the largest?",
            ("argmax(dim=1) -> argmax()",)),
        Mistake("batch means divided by the number of samples", THE_LOSS, ', reduction="sum" -> ',
            "F.cross_entropy has already divided by the size of the batch. What does your last "
            "line divide by?"),
        Mistake("loss or hits never added up", FUNCTIONS,
            Patch('        loss += F.cross_entropy(logits, y, reduction="sum").item()\n', ""),
            "Print both sums after each batch. Which of them does not move?",
            (Patch("        hits += (logits.argmax(dim=1) == y).sum().item()\n", ""),)),
    ],
    section=FUNCTIONS,
    in_book=False,
)  # fmt: skip


# One step of training


def training_step(model, optimizer, x, y):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """By the logarithms of the probabilities and a closure."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -model.train()(x).log_softmax(dim=1)[range(len(y)), y].mean()
        loss.backward()
        return loss

    return optimizer.step(closure)


def _steps(count: int) -> Probe:
    def run(step: Callable) -> Facets:
        net = small_net().eval()
        optimizer, losses = torch.optim.SGD(net.parameters(), lr=0.5), []
        for _ in range(count):
            losses.append(as_seen(step(net, optimizer, EXAMPLES.clone(), _Y.clone())))
        return {
            "loss": losses[-1],
            "weight of the linear layer": as_seen(net[1].weight),
            "running_mean": as_seen(net[0].running_mean),
        }

    shown = {"x": EXAMPLES, "y": _Y, "steps": count, "lr": 0.5, "mode before": "evaluation"}
    return Probe(shown, run)


_TRAINING_STEP = Exercise(
    name="training_step",
    chapter=CHAPTER,
    title="One step",
    statement="Write `training_step(model, optimizer, x, y)`: one step on the cross entropy of "
    "the batch. Return the loss before the step. The model may come in evaluation mode.",
    hints=(
        "Five lines: mode, old gradients, loss, gradients, step.",
        "What do gradients do when `backward` is called twice?",
    ),
    solution=training_step,
    oracle=_step,
    probes=[_steps(1), _steps(3)],
    mistakes=[
        Mistake("zero_grad forgotten", FUNCTIONS, Patch("    optimizer.zero_grad()\n", ""),
            "Where are the gradients of the last step when you call backward?"),
        Mistake("gradients cleared before the step", FUNCTIONS,
            (
                Patch("    optimizer.zero_grad()\n", ""),
                Patch("loss.backward()\n", "loss.backward()\n    optimizer.zero_grad()\n"),
            ),
            "What is weight.grad at the moment of optimizer.step()?",
            (
                Patch("    optimizer.step()\n", ""),
                (
                    Patch("    optimizer.zero_grad()\n", ""),
                    Patch("    loss.backward()\n", ""),
                    Patch("    optimizer.step()\n", ""),
                ),
            )),
        Mistake("step before backward", FUNCTIONS,
            (
                Patch("    optimizer.zero_grad()\n", ""),
                Patch(
                    "    loss.backward()\n    optimizer.step()\n",
                    "    optimizer.step()\n    loss.backward()\n",
                ),
            ),
            "Which gradients does optimizer.step() use, if backward comes after it?"),
        Mistake("train() forgotten", TWO_MODES, Patch("    model.train()\n", ""),
            "After an evaluation, in which mode does the next step find the model?",
            ("model.train() -> model.eval()",)),
        Mistake(
            "softmax before the cross entropy", THE_LOSS, "model(x), y -> model(x).softmax(1), y",
            "What does F.cross_entropy expect: probabilities, or the numbers before softmax?",
        ),
        Mistake("sum of the losses of the batch", THE_LOSS,
            'model(x), y -> model(x), y, reduction="sum"',
            "Take a batch that is twice as large. Should the step be twice as long?"),
        Mistake("uphill", THE_LOSS, "loss = F -> loss = -F",
            "Does the loss fall or rise from step to step? Look at its sign."),
    ],
    section=FUNCTIONS,
    in_book=False,
)  # fmt: skip


# Early stopping


class Stopper:
    def __init__(self, patience, delta):
        self.patience, self.delta = patience, delta
        self.best_loss, self.counter, self.early_stop = float("inf"), 0, False

    def __call__(self, val_loss, model):
        if val_loss < self.best_loss - self.delta:
            self.best_loss, self.counter = val_loss, 0
            self.best_model_state = copy.deepcopy(model.state_dict())
        else:
            self.counter += 1
            self.early_stop = self.counter >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_model_state)


def _model(number: float) -> nn.Module:
    """A model whose weights and buffers are all one number."""
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    _fill(model, number)
    return model


def _fill(model: nn.Module, number: float) -> None:
    with torch.no_grad():
        for tensor in (model[0].weight, model[1].running_mean):
            tensor.fill_(number)


def _replay(cls: Callable, losses: list[float], patience: int, delta: float) -> Facets:
    """Weights are the number of the epoch, and 99 by the time that they are restored."""
    stopper, model, stop = cls(patience, delta), _model(0), "never"
    for epoch, loss in enumerate(losses, start=1):
        _fill(model, epoch)
        stopper(loss, model)
        if stopper.early_stop:
            stop = f"after epoch {epoch}"
            break
    _fill(model, 99)
    other = _model(0)
    if hasattr(stopper, "restore"):
        stopper.restore(other)
    else:
        other.load_state_dict(stopper.best_model_state)
    return {"stop": stop} | _epochs(other)


def _epochs(model: nn.Module) -> Facets:
    words = {0: "the new model's own", 99: "those of after the end"}
    weight, mean = int(model[0].weight), int(model[1].running_mean)
    return {
        "restored weights": words.get(weight, f"those of epoch {weight}"),
        "restored running_mean": words.get(mean, f"that of epoch {mean}"),
    }


def _probe(losses: list[float], patience: int, delta: float = 0.0, essential: bool = True) -> Probe:
    inputs = {"losses": losses, "patience": patience, "delta": delta}
    return Probe(inputs, lambda cls: _replay(cls, losses, patience, delta), essential)


_EARLY_STOPPING = Exercise(
    name="early_stopping",
    chapter=CHAPTER,
    title="From memory, or to disk",
    statement="Write a class `Stopper(patience, delta)`. After each epoch it is called with "
    "`(val_loss, model)`; `early_stop` says whether to stop, and `restore(model)` loads "
    "the weights of the best epoch, kept in memory or in a file.",
    hints=(
        "What counts as an improvement if a loss must fall by more than delta?",
        "What happens to the counter at an improvement, and what otherwise? When is patience used "
        "up?",
        "`state_dict()` hands out the live tensors. What becomes of them in the next epoch?",
    ),
    solution=Stopper,
    oracle=training.EarlyStopping,
    probes=[
        _probe([0.5, 0.75], 1),
        _probe([0.5, 0.75, 0.625], 2),
        _probe([0.5, 0.3125, 0.28125], 2, delta=0.25),
        _probe([1.0, 0.875, 0.625, 0.5, 0.5, 0.5], 2, delta=0.25),
        _probe([1.0, 0.5, 0.75, 0.25, 0.5, 0.375, 0.5], 3),
        _probe([0.5, 0.75, 0.75, 0.75], 1),
        _probe([0.5, 0.625, 0.625, 0.625], 2, delta=0.25),
        _probe([0.5, 0.5, 0.5], 2, essential=False),
        _probe([0.5, math.nan, 0.75], 2, essential=False),
    ],
    mistakes=[
        Mistake("state_dict not copied", COPIED,
            "copy.deepcopy(model.state_dict()) -> model.state_dict()",
            "Train one step further after the best epoch. Do the kept weights change with the "
            "model's?"),
        Mistake("weights kept at every epoch", COPIED,
            (
                Patch(
                    "            self.best_model_state = copy.deepcopy(model.state_dict())\n",
                    "",
                ),
                Patch(
                    "        if val_loss",
                    "        self.best_model_state = copy.deepcopy(model.state_dict())\n        "
                    "if val_loss",
                ),
            ),
            "After which epochs do you keep the weights: all, or those that improve?"),
        Mistake("nothing restored", RESTORE, "model.load_state_dict(self.best_model_state) -> pass",
            "Compare a weight of the model before and after restore."),
        Mistake("only parameters kept", COPIED,
            (
                "copy.deepcopy(model.state_dict()) -> "
                "copy.deepcopy(dict(model.named_parameters()))",
                "best_model_state) -> best_model_state, strict=False)",
            ),
            "Which tensors of a batch normalization layer are not parameters, and belong to the "
            "best epoch all the same?"),
        Mistake("patience one too long", RULE, ">= self.patience -> > self.patience",
            "With patience 1, how many epochs without improvement does your rule allow before it "
            "stops?"),
        Mistake("patience one too short", RULE, ">= self.patience -> >= self.patience - 1",
            "With patience 2, what is your counter after the first epoch without improvement?",
            (
                Patch(
                    "            self.early_stop = self.counter >= self.patience",
                    "        self.early_stop = self.counter >= self.patience - 1",
                ),
            )),
        Mistake("delta with the wrong sign", RULE, "- self.delta -> + self.delta",
            "With a large delta, should an improvement be easier or harder to achieve?"),
        Mistake("delta ignored", RULE, " - self.delta -> ",
            "Replay a loss that falls by a hair every epoch, with a large delta. Does it stop?"),
        Mistake("delta taken as a fraction", RULE,
            "self.best_loss - self.delta -> self.best_loss * (1 - self.delta)",
            "Is delta subtracted from the best loss, or multiplied with it?"),
        Mistake("best loss lowered without an improvement", RULE,
            Patch(
                "            self.counter += 1",
                "            self.best_loss = min(val_loss, self.best_loss)\n            "
                "self.counter += 1",
            ),
            "Let the loss fall by half of delta every epoch. After two epochs, has it improved?"),
        Mistake("counter never reset", RULE,
            "self.best_loss, self.counter = val_loss, 0 -> self.best_loss = val_loss",
            "What should an improvement do to the epochs counted before it?"),
        Mistake("compared with the last loss", RULE,
            Patch(
                "            self.counter += 1",
                "            self.best_loss = val_loss\n            self.counter += 1",
            ),
            "After 0.25, 0.5, 0.375: is the third an improvement?"),
        Mistake("highest loss kept", RULE,
            'if val_loss < self.best_loss - self.delta -> if self.best_loss == float("inf") or '
            "val_loss > self.best_loss + self.delta",
            "Of a loss, is more better?"),
        Mistake("equal loss taken for better", RULE, "val_loss < self -> val_loss <= self",
            "A loss that stays the same for ever: should training go on for ever?"),
        Mistake("a gap at equality", RULE,
            Patch("        else:", "        elif val_loss > self.best_loss - self.delta:"),
            "What does your rule do with a loss that equals best_loss - delta, and with nan? Every "
            "epoch either improves or counts."),
        Mistake("asks whether it is worse", RULE, "if val_loss < -> if not val_loss >",
            "Compare nan with any number: which comparisons are true? What does your rule make of "
            "a nan?",
            ("if val_loss < -> if not val_loss >=",)),
        Mistake("never stops", RULE, Patch("            self.counter += 1\n", ""),
            "Replay a loss that only rises, and print counter and early_stop after each epoch. "
            "Which of them does not move?",
            (
                "self.counter += 1 -> self.counter -= 1",
                Patch("            self.early_stop = self.counter >= self.patience\n", ""),
            )),
        Mistake("best loss never lowered", RULE,
            "self.best_loss, self.counter = val_loss, 0 -> self.counter = 0",
            "Which loss is the third epoch compared with? Print it."),
        Mistake("stops from the start", RULE, 'float("inf"), 0, False -> float("inf"), 0, True',
            "What does early_stop say after the first epoch, which is the best so far?"),
    ],
    section=RULE,
)  # fmt: skip

EXERCISES = [_EVALUATE, _TRAINING_STEP, _EARLY_STOPPING]

IN_TEXT = {
    "06-log": Question(
        "Patience 3, delta 0.001, the losses of the log at the top: after which epoch can "
        "training stop at the earliest?",
        answer=6,
        feedback={
            "right": "Epoch 3 is best. Epochs 4, 5 and 6 must all fail to improve on it. After "
            "epoch 5 the counter is 2.",
            "wrong": "Find the best epoch. The counter is 0 there, and must reach 3.",
            5: "That is what the log says. Count again: after epoch 5 only two epochs have "
            "failed to improve.",
            7: "Epoch 5 beats epoch 4, but the comparison is with the best epoch, so it does not "
            "reset the counter.",
        },
    ),
    "06-loop": Question(
        "In epoch 1 the training loss is well above the validation loss. Why?",
        [
            choice("The validation digits are easier.", "They are a random fifth of the same set."),
            choice(
                "Training digits leaked out.", "The parts are disjoint: two pieces of one order."
            ),
            choice("It is an average over the epoch.", "Right: the epoch began untrained.", True),
        ],
    ),
}


QUESTIONS = [
    Question(
        "A validation set of 400 images comes in a batch of 300 with mean loss 0.20 and a "
        "batch of 100 with mean loss 0.60. What is the loss of the set?",
        answer=0.3,
        tolerance=0.001,
        feedback={
            "right": r"\( (300 \cdot 0.20 + 100 \cdot 0.60) / 400 \): each image counts once.",
            "wrong": "Sum the losses of all images, then divide by the number of images.",
            0.4: "The mean of the two means. The 100 images got half of the weight.",
            0.5: "The two weights are exchanged.",
            0.8: "That is the sum of the two means.",
        },
    ),
    Question(
        "A run (made up) stops after epoch 11. The stopper reports a best loss of 0.083 at "
        "epoch 8. After `restore` the validation loss is 0.090, to the last digit that of "
        "epoch 11. Why?",
        [
            choice(
                "Two evaluations of one network differ a little.",
                "In eval mode on the same data they agree. And noise would not hit the value "
                "of epoch 11 exactly.",
            ),
            choice(
                "With `delta` above 0 the epoch that is kept need not be the lowest.",
                "The kept epoch may miss the lowest loss, but `best_loss` is the loss of the "
                "kept one, and that is not what came back.",
            ),
            choice(
                "The stopper stored `model.state_dict()` without a copy.",
                "It kept the live tensors, and the optimizer went on writing into them for "
                "three epochs.",
                correct=True,
            ),
            choice(
                "The running statistics were restored, the weights were not.",
                "That is a network that never existed. Its loss would be a new number, not "
                "that of epoch 11.",
            ),
        ],
    ),
]


# Figures of the chapter


_SEQUENTIAL = LinearSegmentedColormap.from_list("bnkit_counts", ["#e6e9ec", COLORS["bn"]])


def confusion_matrix(
    labels: object,
    predictions: object,
    num_classes: int = 10,
) -> Axes:
    """How often each true class was given each predicted class."""
    labels, predictions = to_numpy(labels).ravel(), to_numpy(predictions).ravel()
    counts = np.zeros((num_classes, num_classes), dtype=int)  # (true, predicted)
    np.add.at(counts, (labels, predictions), 1)
    mistakes = counts - np.diag(counts.diagonal())
    ax = new_axes(None, figsize=(5.2, 4.2))
    draw_cells(ax, mistakes, _SEQUENTIAL, 0, max(mistakes.max(), 1), "{:.0f}")
    for text, count in zip(ax.texts, counts.ravel(), strict=True):
        text.set(text=f"{count:d}", fontsize=7.5)
    name_cells(ax, counts.shape, range(num_classes), range(num_classes))
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def stopping_point(
    val_loss: Sequence[float],
    *,
    kept: int,
    stopped: int | None = None,
    train_loss: Sequence[float] | None = None,
) -> Axes:
    """A validation curve with the epoch that early stopping keeps and the one where it stops."""
    ax = new_axes()
    last = stopped or len(val_loss)
    curves = {"validation": (to_numpy(val_loss), COLORS["bn"], "-")}
    if train_loss is not None:
        curves["training"] = (to_numpy(train_loss), COLORS["other"], "--")
    for name, (losses, color, line) in curves.items():
        epochs = np.arange(1, len(losses) + 1)
        ax.plot(epochs, losses, line, color=color, alpha=0.4, linewidth=1.2)
        ax.plot(epochs[:last], losses[:last], line, color=color, marker=".")
        end = (epochs[-1], losses[-1])
        place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(name, end, color=color, **place)
    ax.plot(kept, val_loss[kept - 1], "o", markersize=12, fillstyle="none", color=COLORS["text"])
    ending = f"no stop within {last} epochs"
    if stopped:
        ax.axvline(stopped, color=COLORS["reference"], linestyle=":")
        ending = f"stops after epoch {stopped}"
    ax.set_title(f"keeps epoch {kept} (loss {val_loss[kept - 1]:.3f}), {ending}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel="loss")
    return ax
