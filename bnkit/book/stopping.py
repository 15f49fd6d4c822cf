"""The exercise on early stopping of chapter 6: what an answer is tried on, and its mistakes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import nn

from bnkit import training
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe

__all__ = ["EARLY_STOPPING"]

RESTORE = "06_mnist_early_stopping.ipynb#Restore, and test once"
COPIED = "06_mnist_early_stopping.ipynb#The best weights must be copied"
RULE = "06_mnist_early_stopping.ipynb#When to stop: the rule on seven numbers"


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
    shown = {"stop": stop} | _epochs(other)
    if any(map(math.isnan, losses)):
        del shown["stop"]  # whether such an epoch counts is left open
    return shown


def _epochs(model: nn.Module) -> Facets:
    words = {0: "the new model's own", 99: "those of after the end"}
    weight, mean = int(model[0].weight), int(model[1].running_mean)
    return {
        "restored weights": words.get(weight, f"those of epoch {weight}"),
        "restored running_mean": words.get(mean, f"that of epoch {mean}"),
    }


def _probe(losses: list[float], patience: int, delta: float = 0.0) -> Probe:
    inputs = {"losses": losses, "patience": patience, "delta": delta}
    return Probe(inputs, lambda cls: _replay(cls, losses, patience, delta))


EARLY_STOPPING = Exercise(
    name="early_stopping",
    chapter="06_mnist_early_stopping",
    title="From memory, or to disk",
    statement="Write a class `Stopper(patience, delta)`. After each epoch it is called with "
    "`(val_loss, model)`. The first epoch, and one whose loss is lower than the best so far by "
    "more than `delta`, is the best so far; any other, with an equal loss too, counts. "
    "`early_stop` is True as soon as `patience` epochs in a row have counted. A loss of nan is "
    "never the best; whether it counts or stops is up to you. `restore(model)` loads the weights "
    "and the running statistics of the best epoch, kept in memory or in a file.",
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
        _probe([0.5, 0.5], 1),
        _probe([0.5, 0.75, 0.625], 2),
        _probe([0.5, 0.3125, 0.28125], 2, delta=0.25),
        _probe([1.0, 0.875, 0.625, 0.5, 0.5, 0.5], 2, delta=0.25),
        _probe([1.0, 0.5, 0.75, 0.25, 0.5, 0.375, 0.5], 3),
        _probe([0.5, 0.75, 0.75, 0.75], 1),
        _probe([0.5, 0.625, 0.625, 0.625], 2, delta=0.25),
        _probe([0.75, 0.5, 0.5, 0.5], 2, delta=0.25),
        _probe([0.5, math.nan, 0.75], 2),
        _probe([2.0, 2.5, 1.5, 1.75, 1.5, 1.0, 3.0, 2.0, 1.25, 1.0, 0.5], 4),
        _probe([4.0, 3.0, 2.75, 2.5, 1.0, 1.25, 2.5, 0.25], 3, delta=0.5),
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
        Mistake("weights kept by a rule without delta", COPIED,
            (Patch("            self.best_model_state = copy.deepcopy(model.state_dict())\n", ""),
             Patch("        if val_loss",
                   '        if val_loss < getattr(self, "lowest", float("inf")):\n'
                   "            self.lowest = val_loss\n"
                   "            self.best_model_state = copy.deepcopy(model.state_dict())\n"
                   "        if val_loss")),
            "You ask twice whether a loss is better: for the counter, and for the weights. Are the "
            "two questions the same?",
            ((Patch("            self.best_model_state = copy.deepcopy(model.state_dict())\n", ""),
              Patch("        if val_loss",
                    '        if val_loss <= getattr(self, "lowest", float("inf")):\n'
                    "            self.lowest = val_loss\n"
                    "            self.best_model_state = copy.deepcopy(model.state_dict())\n"
                    "        if val_loss")),
             (Patch("            self.best_model_state = copy.deepcopy(model.state_dict())\n", ""),
              Patch("        if val_loss",
                    '        if val_loss < getattr(self, "last", float("inf")):\n'
                    "            self.best_model_state = copy.deepcopy(model.state_dict())\n"
                    "        self.last = val_loss\n"
                    "        if val_loss")))),
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
            "Is delta subtracted from the best loss, or multiplied with it?",
            ("self.best_loss - self.delta -> self.best_loss - self.delta * abs(self.best_loss)",
             'if val_loss < self.best_loss - self.delta -> if self.best_loss == float("inf") or '
             "val_loss < self.best_loss * self.delta")),
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
            "After 0.25, 0.5, 0.375: is the third an improvement?",
            ((Patch("            self.counter += 1",
                    "            self.best_loss = val_loss\n            self.counter += 1"),
              " - self.delta -> "),
             (Patch("            self.counter += 1",
                    "            self.best_loss = val_loss\n            self.counter += 1"),
              "val_loss < self.best_loss - self.delta -> val_loss <= self.best_loss"))),
        Mistake("highest loss kept", RULE,
            'if val_loss < self.best_loss - self.delta -> if self.best_loss == float("inf") or '
            "val_loss > self.best_loss + self.delta",
            "Of a loss, is more better?"),
        Mistake("equal loss taken for better", RULE, "val_loss < self -> val_loss <= self",
            "A loss that stays the same for ever: should training go on for ever?"),
        Mistake("a gap at equality", RULE,
            Patch("        else:", "        elif val_loss > self.best_loss - self.delta:"),
            "What does your rule do with a loss that equals best_loss - delta? Every epoch either "
            "improves or counts."),
        Mistake("only epochs that are worse by delta count", RULE,
            Patch("        else:", "        elif val_loss > self.best_loss + self.delta:"),
            "A loss between the best one and best_loss + delta: what does your rule do with it? "
            "Every epoch either improves or counts.",
            ((Patch("        else:", "        elif val_loss > self.best_loss + self.delta:"),
              Patch(" - self.delta:\n            self.best", ":\n            self.best")),
             Patch("        else:", "        elif val_loss >= self.best_loss + self.delta:"),
             (Patch("        else:", "        elif val_loss >= self.best_loss + self.delta:"),
              Patch(" - self.delta:\n            self.best", ":\n            self.best")),
             Patch("        else:", "        elif val_loss > self.best_loss:"),
             Patch("        else:", "        elif val_loss >= self.best_loss:"))),
        Mistake("equal loss and nan taken for better", RULE, "if val_loss < -> if not val_loss >",
            "You ask whether the loss is worse. Which answer do an equal loss and a nan get, and "
            "what follows?"),
        Mistake("nan taken for better", RULE, "if val_loss < -> if not val_loss >=",
            "Compare nan with any number: which comparisons are true? What does your rule make of "
            "a nan?"),
        Mistake("never stops", RULE, Patch("            self.counter += 1\n", ""),
            "Replay a loss that only rises, and print counter and early_stop after each epoch. "
            "Which of them does not move?",
            (
                "self.counter += 1 -> self.counter -= 1",
                Patch("            self.early_stop = self.counter >= self.patience\n", ""),
            )),
        Mistake("best loss never lowered", RULE,
            "self.best_loss, self.counter = val_loss, 0 -> self.counter = 0",
            "Which loss is the third epoch compared with? Print it.",
            ("self.best_loss, self.counter = val_loss, 0 -> self.best_loss, self.counter = "
             'min(val_loss, self.best_loss) if self.best_loss == float("inf") else '
             "self.best_loss, 0",)),
        Mistake("patience ignored", RULE, ">= self.patience -> >= 1",
            "With patience 3, how many bad epochs in a row may there be before it stops?"),
        Mistake("counter lowered, not reset", RULE, "= val_loss, 0 -> = val_loss, self.counter - 1",
            "Three bad epochs, then a good one: what should the counter be?",
            ("= val_loss, 0 -> = val_loss, max(0, self.counter - 1)",)),
        Mistake("delta taken twice", RULE, "= val_loss, 0 -> = val_loss - self.delta, 0",
            "Which number is the next loss compared with: the best loss less delta, or less 2 "
            "delta?", ("- self.delta -> - 2 * self.delta",)),
        Mistake("a change in either direction taken for better", RULE,
            'if val_loss < self.best_loss - self.delta -> if abs(val_loss - self.best_loss) > '
            "self.delta",
            "A loss that jumps up: is it an improvement?"),
        Mistake("patience and delta exchanged", RULE, "= patience, delta -> = delta, patience",
            "In which order do the two arguments come, and which of them is a number of epochs?"),
        Mistake("weights kept at the first epoch alone", COPIED,
            Patch("            self.best_model_state =",
                  '            if not hasattr(self, "best_model_state"):\n'
                  "                self.best_model_state ="),
            "After which epochs do you keep the weights: the first, or all that improve?"),
        Mistake("weights of the first epoch not kept", COPIED,
            Patch("            self.best_model_state =",
                  '            if hasattr(self, "seen"):\n'
                  "                self.best_model_state ="
                  " copy.deepcopy(model.state_dict())\n            self.seen ="),
            "If no later epoch improves, which weights should restore load, and have you kept "
            "them?"),
        Mistake("weights kept where nothing improves", COPIED,
            (Patch("            self.best_model_state = copy.deepcopy(model.state_dict())\n", ""),
             Patch("            self.counter += 1",
                   "            self.best_model_state = copy.deepcopy(model.state_dict())\n"
                   "            self.counter += 1")),
            "In which of the two branches belong the best weights?"),
        Mistake("running statistics not copied", COPIED,
            "copy.deepcopy(model.state_dict()) -> {k: v if \"running\" in k else v.clone() "
            "for k, v in model.state_dict().items()}",
            "Buffers are tensors that the next epoch writes into, as parameters are. Did you copy "
            "them?"),
        Mistake("parameters not copied", COPIED,
            "copy.deepcopy(model.state_dict()) -> {k: v.clone() if \"running\" in k else v "
            "for k, v in model.state_dict().items()}",
            "The next step writes into the tensors that you kept. Which of them did you copy?"),
        Mistake("stops from the start", RULE, 'float("inf"), 0, False -> float("inf"), 0, True',
            "What does early_stop say after the first epoch, which is the best so far?"),
    ],
    section=RULE,
)  # fmt: skip
