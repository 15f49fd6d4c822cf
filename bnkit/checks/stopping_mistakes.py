"""Known mistakes in early stopping, as data."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

from torch import nn

from bnkit.checks.exercise import Mistake

__all__ = ["STOPPING"]

RULE = "06_mnist_early_stopping.ipynb#When to stop: the rule on seven numbers"
COPIED = "06_mnist_early_stopping.ipynb#The best weights must be copied"
RESTORE = "06_mnist_early_stopping.ipynb#Restore, and test once"


class _Stopper:
    """The rule in pieces, for a wrong version to replace one of them."""

    def __init__(self, patience: int, delta: float) -> None:
        self.patience, self.delta = patience, delta
        self.best, self.last, self.counter = math.inf, math.inf, 0
        self.state, self.early_stop = None, False

    def __call__(self, loss: float, model: nn.Module) -> None:
        better = self.improves(loss)
        self.best, self.last = self.new_best(loss, better), loss
        self.counter = self.counted(better)
        if better:
            self.state = self.keep(model)
        self.early_stop = self.is_over()

    def improves(self, loss: float) -> bool:
        return loss < self.best - self.delta

    def new_best(self, loss: float, better: bool) -> float:
        return loss if better else self.best

    def counted(self, better: bool) -> int:
        return 0 if better else self.counter + 1

    def keep(self, model: nn.Module) -> dict:
        return copy.deepcopy(model.state_dict())

    def is_over(self) -> bool:
        return self.counter >= self.patience

    def restore(self, model: nn.Module) -> None:
        model.load_state_dict(self.state, strict=False)


def _but(**methods: Callable) -> type[_Stopper]:
    return type("WrongStopper", (_Stopper,), methods)


def _call_and_keep(self, loss, model):
    _Stopper.__call__(self, loss, model)
    self.state = copy.deepcopy(model.state_dict())


def _parameters(self, model):
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


def _highest(self, loss):
    return self.best == math.inf or loss > self.best + self.delta


STOPPING = [
    Mistake(
        "state_dict not copied", "early_stopping",
        _but(keep=lambda self, model: model.state_dict()),
        "Train one step further after the best epoch. Do the kept weights change with the "
        "model's?", COPIED,
    ),
    Mistake(
        "weights kept at every epoch", "early_stopping", _but(__call__=_call_and_keep),
        "After which epochs do you keep the weights: all, or those that improve?", COPIED,
    ),
    Mistake(
        "nothing restored", "early_stopping", _but(restore=lambda self, model: None),
        "Compare a weight of the model before and after restore.", RESTORE,
    ),
    Mistake(
        "only parameters kept", "early_stopping", _but(keep=_parameters),
        "Which tensors of a batch normalization layer are not parameters, and belong to the best "
        "epoch all the same?", COPIED,
    ),
    Mistake(
        "patience one too long", "early_stopping",
        _but(is_over=lambda self: self.counter > self.patience),
        "With patience 1, how many epochs without improvement does your rule allow before it "
        "stops?", RULE,
    ),
    Mistake(
        "patience one too short", "early_stopping",
        _but(is_over=lambda self: self.counter and self.counter >= self.patience - 1),
        "With patience 2, what is your counter after the first epoch without improvement?", RULE,
        (_but(is_over=lambda self: self.counter >= self.patience - 1),),
    ),
    Mistake(
        "delta with the wrong sign", "early_stopping",
        _but(improves=lambda self, loss: loss < self.best + self.delta),
        "With a large delta, should an improvement be easier or harder to achieve?", RULE,
    ),
    Mistake(
        "delta ignored", "early_stopping", _but(improves=lambda self, loss: loss < self.best),
        "Replay a loss that falls by a hair every epoch, with a large delta. Does it stop?", RULE,
    ),
    Mistake(
        "delta taken as a fraction", "early_stopping",
        _but(improves=lambda self, loss: loss < self.best * (1 - self.delta)),
        "Is delta subtracted from the best loss, or multiplied with it?", RULE,
    ),
    Mistake(
        "best loss lowered without an improvement", "early_stopping",
        _but(new_best=lambda self, loss, better: min(loss, self.best)),
        "Let the loss fall by half of delta every epoch. After two epochs, has it improved?",
        RULE,
    ),
    Mistake(
        "counter never reset", "early_stopping",
        _but(counted=lambda self, better: self.counter + (not better)),
        "What should an improvement do to the epochs counted before it?", RULE,
    ),
    Mistake(
        "compared with the last loss", "early_stopping",
        _but(improves=lambda self, loss: loss < self.last - self.delta),
        "After 0.25, 0.5, 0.375: is the third an improvement?", RULE,
    ),
    Mistake(
        "highest loss kept", "early_stopping", _but(improves=_highest),
        "Of a loss, is more better?", RULE,
    ),
    Mistake(
        "equal loss taken for better", "early_stopping",
        _but(improves=lambda self, loss: loss <= self.best - self.delta),
        "A loss that stays the same for ever: should training go on for ever?", RULE,
    ),
    Mistake(
        "asks whether it is worse", "early_stopping",
        _but(improves=lambda self, loss: not loss > self.best - self.delta),
        "Compare nan with any number: which comparisons are true? What does your rule make of a "
        "nan?", RULE,
        (_but(improves=lambda self, loss: not loss >= self.best - self.delta),),
    ),
]  # fmt: skip
