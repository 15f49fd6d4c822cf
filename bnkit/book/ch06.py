"""Chapter 6, MNIST with early stopping: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from bnkit import training
from bnkit.book.ch03 import FORGOTTEN
from bnkit.book.ch05 import TWO_MODES
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen, scattered
from bnkit.book.observe_layer import EXAMPLES, small_net
from bnkit.book.quiz import Question, choice
from bnkit.book.stopping import EARLY_STOPPING
from bnkit.plots import COLORS, new_axes, to_numpy
from bnkit.plots.matrices import draw_cells, name_cells

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS", "confusion_matrix", "stopping_point"]

CHAPTER = "06_mnist_early_stopping"

CANNOT = "06_mnist_early_stopping.ipynb#A log that cannot be true"
THE_LOSS = "06_mnist_early_stopping.ipynb#The loss, by hand"
FUNCTIONS = "06_mnist_early_stopping.ipynb#Training and validation functions"


# Evaluation

_Y = torch.tensor([0, 1, 0, 1, 1])
_MANY = scattered(11, 2), torch.arange(11) // 2 % 3  # three classes, and a short last batch


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


def _net(classes: int) -> nn.Sequential:
    """The small net; a third class in whose scores no number of the others stands."""
    net = small_net()
    if classes > 2:
        net[1] = nn.Linear(2, classes)
        with torch.no_grad():
            net[1].weight.copy_(torch.tensor([[0.5, -0.25], [-1.0, 0.75], [0.25, 0.5]]))
            net[1].bias.copy_(torch.tensor([0.25, -0.5, 0.125]))
    return net


def _evaluates(x: Tensor, y: Tensor, size: int) -> Probe:
    def run(evaluate: Callable) -> Facets:
        net, recorded = _net(int(y.max()) + 1), []
        net[1].register_forward_hook(lambda *seen: recorded.append(seen[2].requires_grad))
        loss, accuracy = evaluate(net, DataLoader(TensorDataset(x.clone(), y.clone()), size))
        return {
            "loss": as_seen(loss),
            "accuracy": as_seen(accuracy),
            "running_mean afterwards": as_seen(net[0].running_mean),
            "a graph for gradients": "recorded" if any(recorded) else "not recorded",
        }

    shown = {f"batch {i}": part for i, part in enumerate(x.split(size), start=1)}
    return Probe(shown | {"targets": y}, run)


_EVALUATE = Exercise(
    name="evaluate",
    chapter=CHAPTER,
    title="Evaluate",
    statement="Write `evaluate(model, loader)`: return the mean cross entropy and the share of "
    "right answers over all examples of the loader, whose last batch may be short. The model runs "
    "in evaluation mode, and no graph for gradients is recorded.",
    hints=(
        "Which mode, and which context for the gradients?",
        "Add up over examples, and divide once at the end.",
        "Is the mean over batches the mean over examples if the last batch is short?",
    ),
    solution=evaluate,
    oracle=training.evaluate,
    probes=[
        _evaluates(EXAMPLES[:3], _Y[:3], 2),
        _evaluates(EXAMPLES[:4], _Y[:4], 2),
        _evaluates(EXAMPLES, _Y, 3),
        _evaluates(*_MANY, 3),
    ],
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
            "Which batches are in your result? Look at what happens to the sums inside the loop.",
            (("loss += -> loss =", "hits += -> hits ="), "loss += -> loss =", "hits += -> hits =",
             Patch('loss += F.cross_entropy(logits, y, reduction="sum").item()',
                   "loss = F.cross_entropy(logits, y); loss += loss.item()"),
             (', reduction="sum" -> ', "loss += -> loss =", "loss / count -> loss"),
             (', reduction="sum" -> ', "loss += -> loss =", "loss / count -> loss / len(loader)"))),
        Mistake("divided by the size of the last batch", FUNCTIONS,
            "return loss / count, hits / count -> return loss / len(y), hits / len(y)",
            "How many examples are in your sums, and by how many do you divide?",
            ("return loss / count -> return loss / len(y)", "hits / count -> hits / len(y)")),
        Mistake("divided by the number of batches", CANNOT, "count += len(x) -> count += 1",
            "You add up over samples. What do you divide by: samples or batches?",
            ("hits / count -> hits / len(loader)", "loss / count -> loss / len(loader)")),
        Mistake("divided by full batches", CANNOT, "count += len(x) -> count += loader.batch_size",
            "How many samples are there, if the last batch is short?",
            tuple(f"{part} / count -> {part} / (len(loader) * loader.batch_size)"
                  for part in ("hits", "loss"))),
        Mistake("a running average over the batches", CANNOT,
            (', reduction="sum" -> ', "loss += -> loss = 0.9 * loss + 0.1 *",
             "loss / count -> loss"),
            "Swap two batches of the loader. May your result change?",
            *(tuple(
                (', reduction="sum" -> ',
                 Patch('loss += F.cross_entropy(logits, y).item()',
                       "new = F.cross_entropy(logits, y).item()\n        "
                       f"loss = new if not count else {old} * loss + {1 - old:g} * new"),
                 "loss / count -> loss")
                for old in (0.9, 0.5, 0.99, 0.1, 0.95, 0.8)),)),
        Mistake("the best or the worst batch", FUNCTIONS,
            (', reduction="sum" -> ', "loss += F -> loss = max(loss, F",
             "y).item()\n -> y).item())\n", "loss / count -> loss"),
            "Every example of the loader should count. How many batches are in your result?"),
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
            "line divide by?",
            ("(logits.argmax(dim=1) == y).sum() -> (logits.argmax(dim=1) == y).float().mean()",
             (', reduction="sum" -> ',
              "(logits.argmax(dim=1) == y).sum() -> "
              "(logits.argmax(dim=1) == y).float().mean()"))),
        Mistake("loss or hits never added up", FUNCTIONS,
            Patch('        loss += F.cross_entropy(logits, y, reduction="sum").item()\n', ""),
            "Print both sums after each batch. Which of them does not move?",
            (Patch("        hits += (logits.argmax(dim=1) == y).sum().item()\n", ""),)),
        Mistake("a graph is recorded", FUNCTIONS,
            Patch("        with torch.no_grad():\n            logits = model(x)",
                  "        logits = model(x)"),
            "Nobody will call backward here. Under which context does PyTorch remember nothing?"),
        Mistake("first batch alone", FUNCTIONS,
            Patch("        count += len(x)\n    return", "        count += len(x)\n        return"),
            "How often does your loop run? Look at the indentation of return."),
        Mistake("cross entropy without the logarithm", THE_LOSS,
            'F.cross_entropy(logits, y, reduction="sum") -> F.nll_loss(logits, y, reduction="sum")',
            "What does F.nll_loss expect: scores, probabilities, or their logarithms?",
            ('F.cross_entropy(logits, -> F.nll_loss(logits.softmax(1),',)),
        Mistake("the smallest score taken", FUNCTIONS, "argmax -> argmin",
            "Which class does the model name: the one with the largest score, or the smallest?"),
        Mistake("predictions (N, 1) compared with targets (N,)", FUNCTIONS,
            "logits.argmax(dim=1) -> logits.argmax(dim=1, keepdim=True)",
            "Print the shape of the comparison. How many comparisons do N images need?"),
        Mistake("softmax over the batch", THE_LOSS,
            "F.cross_entropy(logits, -> F.cross_entropy(logits.softmax(0),",
            "F.cross_entropy expects the numbers before softmax. And which axis are the classes?"),
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
        optimizer, losses, seen = torch.optim.SGD(net.parameters(), lr=0.5), [], []
        optimizer.register_step_post_hook(lambda *_: seen.append("step"))
        net[1].weight.register_hook(lambda _: seen.append("gradient"))
        for _ in range(count):
            losses.append(as_seen(step(net, optimizer, EXAMPLES.clone(), _Y.clone())))
        return {
            "loss": losses[-1],
            "weight of the linear layer": as_seen(net[1].weight),
            "running_mean": as_seen(net[0].running_mean),
            "steps of the optimizer": str(seen.count("step")),
            "gradients": "computed" if "gradient" in seen else "never computed",
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
            "What is weight.grad at the moment of optimizer.step()?"),
        Mistake("step() forgotten", FUNCTIONS, Patch("    optimizer.step()\n", ""),
            "Compare a weight before and after. Which line moves the weights?"),
        Mistake("backward() forgotten", FUNCTIONS, Patch("    loss.backward()\n", ""),
            "What is weight.grad at the moment of optimizer.step()? Which line computes it?"),
        Mistake("neither backward() nor step()", FUNCTIONS,
            (Patch("    loss.backward()\n", ""), Patch("    optimizer.step()\n", "")),
            "Which line computes the gradients, and which one moves the weights?"),
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
            "Does the loss fall or rise from step to step? Look at its sign.",
            ("loss.backward() -> (-loss).backward()",)),
        Mistake("loss after the step", FUNCTIONS,
            "return loss.item() -> return F.cross_entropy(model(x), y).item()",
            "Which weights made the loss that you return: those before the step, or after it? "
            "And how often does the model see the batch?",
            (Patch("    return loss.item()",
                   "    model.eval()\n    return F.cross_entropy(model(x), y).item()"),)),
        Mistake("the model sees the batch twice", FUNCTIONS,
            Patch("    loss = ", "    model(x)\n    loss = "),
            "In training mode every call moves the running statistics. How often do you call it?"),
        Mistake("two steps in place of one", FUNCTIONS,
            Patch("    optimizer.step()\n", "    optimizer.step()\n    optimizer.step()\n"),
            "How many steps does one call take?"),
        Mistake("gradient counted twice", FUNCTIONS,
            "loss.backward() -> (2 * loss).backward()",
            "Compare weight.grad with the gradient of the loss that you return."),
        Mistake("gradient divided by the batch size", THE_LOSS,
            "loss.backward() -> (loss / len(x)).backward()",
            "F.cross_entropy is a mean already. Is it divided once more?"),
        Mistake("sum of the losses returned", THE_LOSS,
            "return loss.item() -> return loss.item() * len(x)",
            "The step is right. Is what you return the mean of the batch?"),
        Mistake("mean divided once more", THE_LOSS,
            "return loss.item() -> return loss.item() / len(x)",
            "The step is right. F.cross_entropy is a mean already: what do you divide by?"),
        Mistake("gradient clipped", FUNCTIONS,
            Patch("    optimizer.step()\n",
                  "    nn.utils.clip_grad_norm_(model.parameters(), 0.1)\n    optimizer.step()\n"),
            "Which of your lines changes the gradient between backward and step? The statement "
            "does not ask for it.",
            tuple(Patch("    optimizer.step()\n",
                        f"    nn.utils.clip_grad_{way}\n    optimizer.step()\n")
                  for way in ("norm_(model.parameters(), 0.5)", "norm_(model.parameters(), 0.01)",
                              "value_(model.parameters(), 0.1)",
                              "value_(model.parameters(), 0.01)"))),
        Mistake("a penalty on the weights", THE_LOSS,
            Patch("F.cross_entropy(model(x), y)\n",
                  "F.cross_entropy(model(x), y)\n    loss = loss + "
                  "1e-2 * sum((p**2).sum() for p in model.parameters())\n"),
            "Which loss is asked for, and what do you add to it?",
            tuple(Patch("F.cross_entropy(model(x), y)\n",
                        f"F.cross_entropy(model(x), y)\n    loss = loss + {penalty}\n")
                  for penalty in ("1e-3 * sum((p**2).sum() for p in model.parameters())",
                                  "1e-2 * sum(p.abs().sum() for p in model.parameters())",
                                  "1e-3 * sum(p.abs().sum() for p in model.parameters())",
                                  "1e-2 * sum(p.norm() for p in model.parameters())"))),
        Mistake("labels smoothed", THE_LOSS, "model(x), y -> model(x), y, label_smoothing=0.1",
            "Which loss is asked for? Look at the arguments of yours.",
            ("model(x), y -> model(x), y, label_smoothing=0.2",)),
        Mistake("accuracy in place of the loss", FUNCTIONS,
            "return loss.item() -> return (model.eval()(x).argmax(1) == y).float().mean().item()",
            "The step is asked to return the loss.",
            (("loss = F.cross_entropy(model(x), -> out = model(x); loss = F.cross_entropy(out,",
              "return loss.item() -> return (out.argmax(1) == y).float().mean().item()"),)),
        Mistake("scores in place of the loss", FUNCTIONS,
            ("loss = F.cross_entropy(model(x), -> out = model(x); loss = F.cross_entropy(out,",
             "return loss.item() -> return out"),
            "The step is asked to return the loss."),
        Mistake("softmax over the batch", THE_LOSS, "model(x), y -> model(x).softmax(0), y",
            "F.cross_entropy expects the numbers before softmax. And which axis are the classes?"),
        Mistake("cross entropy without the logarithm", THE_LOSS, "F.cross_entropy -> F.nll_loss",
            "What does F.nll_loss expect: scores, probabilities, or their logarithms?",
            ("F.cross_entropy(model(x), y) -> F.nll_loss(model(x).softmax(1), y)",)),
        Mistake("another loss than the cross entropy", THE_LOSS,
            "F.cross_entropy(model(x), y) -> F.mse_loss(model(x), F.one_hot(y).float())",
            "Which loss is asked for?",
            ("F.cross_entropy(model(x), y) -> "
             "F.mse_loss(model(x).softmax(1), F.one_hot(y).float())",
             "F.cross_entropy(model(x), y) -> "
             "F.binary_cross_entropy_with_logits(model(x), F.one_hot(y).float())",
             "F.cross_entropy(model(x), y) -> F.multi_margin_loss(model(x), y)")),
    ],
    section=FUNCTIONS,
    in_book=False,
)  # fmt: skip

EXERCISES = [_EVALUATE, _TRAINING_STEP, EARLY_STOPPING]

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
