"""Answers to the exercise on early stopping: right ones in many styles, and unknown ones."""

import copy
import io
import math

import pytest
import torch

from bnkit import training
from bnkit.checks import check_early_stopping
from bnkit.checks.solutions.by_hand import Stopper


class Clones:
    """Own names, a clone of each tensor, no method to restore."""

    def __init__(self, p, d):
        self.left = self.p = p
        self.d, self.lowest = d, None
        self.best_model_state = {}

    def __call__(self, loss, net):
        if self.lowest is None or self.lowest - loss > self.d:
            self.lowest, self.left = loss, self.p
            self.best_model_state = {k: v.clone() for k, v in net.state_dict().items()}
        else:
            self.left -= 1

    @property
    def early_stop(self):
        return self.left <= 0


class WholeModel:
    def __init__(self, patience, delta):
        self.history, self.patience, self.delta = [], patience, delta
        self.best_epoch = None

    def __call__(self, loss, model):
        self.history.append(loss)
        best = math.inf if self.best_epoch is None else self.history[self.best_epoch]
        if loss < best - self.delta:
            self.best_epoch, self.model = len(self.history) - 1, copy.deepcopy(model)
        self.early_stop = len(self.history) - 1 - self.best_epoch >= self.patience

    def restore(self, model):
        model.load_state_dict(self.model.state_dict())


class OnDisk(Stopper):
    def __call__(self, val_loss, model):
        super().__call__(val_loss, model)
        if self.counter == 0:
            self.file = io.BytesIO()
            torch.save(model.state_dict(), self.file)

    def restore(self, model):
        self.file.seek(0)
        model.load_state_dict(torch.load(self.file))


class ByScore:
    early_stop = False

    def __init__(self, patience, delta):
        self.patience, self.delta, self.score, self.bad = patience, delta, -math.inf, 0

    def __call__(self, loss, model):
        if -loss > self.score + self.delta:
            self.score, self.bad = -loss, 0
            self.kept = [tensor.detach().clone() for tensor in model.state_dict().values()]
            return
        self.bad += 1
        if self.bad == self.patience:
            self.early_stop = True

    def restore(self, model):
        for tensor, kept in zip(model.state_dict().values(), self.kept, strict=True):
            tensor.copy_(kept)


RIGHT = [training.EarlyStopping, Stopper, Clones, WholeModel, OnDisk, ByScore]


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_rule_passes_however_it_is_written(answer):
    assert check_early_stopping(answer).passed


class ShallowCopy(Stopper):
    def __call__(self, val_loss, model):
        super().__call__(val_loss, model)
        if self.counter == 0:
            self.best_model_state = dict(model.state_dict())


def test_a_shallow_copy_is_no_copy():
    assert check_early_stopping(ShallowCopy).mistake == "state_dict not copied"


class TwicePatience(Stopper):
    def __init__(self, patience, delta):
        super().__init__(2 * patience, delta)


def test_an_unknown_mistake_is_told_where_the_values_part():
    result = check_early_stopping(TwicePatience)
    assert (result.status, result.stage) == ("unknown", "stop")
    assert result.sample.inputs["losses"] == [0.5, 0.75]
    assert (result.sample.expected, result.sample.received) == ("after epoch 2", "never")
