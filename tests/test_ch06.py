"""Chapter 6's exercises: evaluation, the training step and early stopping."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
from mutants import share_named
from torch import nn
from torch.nn import functional as F

from bnkit import training
from bnkit.book import ch06
from bnkit.book.ch06 import training_step
from bnkit.book.registry import EXERCISES, check
from bnkit.book.stopping import Stopper


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
    assert check("early_stopping", answer).passed


class ShallowCopy(Stopper):
    def __call__(self, val_loss, model):
        super().__call__(val_loss, model)
        if self.counter == 0:
            self.best_model_state = dict(model.state_dict())


def test_a_shallow_copy_is_no_copy():
    assert check("early_stopping", ShallowCopy).mistake == "state_dict not copied"


class ByLevel(Stopper):
    def __call__(self, val_loss, model):
        super().__call__(val_loss, model)
        self.early_stop = val_loss > 0.7


def test_an_unknown_mistake_is_told_where_the_values_part():
    result = check("early_stopping", ByLevel)
    assert (result.status, result.stage) == ("unknown", "stop")
    assert result.sample.inputs["losses"] == [0.5, 0.5]
    assert (result.sample.expected, result.sample.received) == ("after epoch 2", "never")


class Misspelled(Stopper):
    def __call__(self, val_loss, model):
        if val_loss < self.bestloss - self.delta:
            self.best_loss = val_loss


def test_a_misspelled_attribute_is_told_by_its_line_alone():
    result = check("early_stopping", Misspelled)
    assert (result.status, result.mistake) == ("raised", None)
    assert "self.bestloss" in result.error


class Unstoppable(Stopper):
    def __call__(self, val_loss, model):
        super().__call__(val_loss, model)
        self.early_stop = False


def test_a_rule_that_never_stops_is_named():
    assert check("early_stopping", Unstoppable).mistake == "never stops"


@torch.no_grad()
def chapter(model, loader):
    model.eval()
    total, hits, count = 0.0, 0, 0
    for x, y in loader:
        output = model(x)
        total += F.cross_entropy(output, y).item() * len(y)
        hits += (output.argmax(dim=1) == y).sum().item()
        count += len(y)
    return total / count, hits / count


def at_once(model, loader):
    x, y = (torch.cat(part) for part in zip(*loader, strict=True))
    with torch.inference_mode():
        output = model.eval()(x)
    return nn.CrossEntropyLoss()(output, y), (output.max(1).indices == y).double().mean()


def recorded(net, batches):
    net.train(False)
    results = [(net(x), y) for x, y in batches]
    losses = [F.cross_entropy(output, y, reduction="none") for output, y in results]
    hits = [output.argmax(-1).eq(y).float() for output, y in results]
    net.train()
    return torch.cat(losses).mean(), torch.cat(hits).mean()


summed = torch.no_grad()(recorded)


@pytest.mark.parametrize("answer", [training.evaluate, chapter, at_once, summed])
def test_a_right_evaluation_passes_however_it_is_written(answer):
    assert check("evaluate", answer).passed


def test_an_evaluation_that_records_a_graph_is_named():
    assert check("evaluate", recorded).mistake == "a graph is recorded"


def zero_last(model, optimizer, x, y):
    loss = nn.NLLLoss()(model.train()(x).log_softmax(1), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.detach()


@pytest.mark.parametrize("answer", [training_step, zero_last])
def test_a_right_step_passes_however_it_is_written(answer):
    result = check("training_step", answer)
    assert result.passed, repr(result)


class Popular:
    """The rule that circulates most, by score, with nan and equality on the wrong side."""

    def __init__(self, patience=7, delta=0):
        self.patience, self.delta, self.counter = patience, delta, 0
        self.best_score, self.early_stop = None, False

    def __call__(self, val_loss, model):
        score = -val_loss
        if self.best_score is None:
            self.best_score = score
            self.best = copy.deepcopy(model.state_dict())
        elif score < self.best_score + self.delta:
            self.counter += 1
            if self.counter >= self.patience:
                self.early_stop = True
        else:
            self.best_score, self.counter = score, 0
            self.best = copy.deepcopy(model.state_dict())

    def restore(self, model):
        model.load_state_dict(self.best)


class Pickled(Popular):
    def __call__(self, val_loss, model):
        super().__call__(val_loss, model)
        if self.counter == 0:
            self.best = model.state_dict().copy()


def test_a_mistake_in_early_stopping_is_named():
    assert check("early_stopping", Popular).mistake == "equal loss and nan taken for better"
    assert "state_dict not copied" in check("early_stopping", Pickled).mistake


@torch.no_grad()
def chatty(model, loader):
    losses, hits = [], []
    for x, y in loader:
        scores = model(x)
        losses += [nn.functional.cross_entropy(scores, y).item()] * len(x)
        hits += (scores.argmax(1) == y).tolist()
    return sum(losses) / len(losses), sum(hits) / len(hits)


def test_a_mistake_in_an_evaluation_is_named():
    assert check("evaluate", chatty).mistake == "eval() forgotten"


@torch.no_grad()
def flat_argmax(model, loader):
    model.eval()
    loss, _ = training.evaluate(model, loader)
    hits = [model(x).argmax() == y for x, y in loader]
    return loss, torch.cat(hits).float().mean()


@torch.no_grad()
def mean_over_samples(model, loader):
    model.eval()
    _, accuracy = training.evaluate(model, loader)
    summed = sum(F.cross_entropy(model(x), y) for x, y in loader)
    return summed / sum(len(y) for _, y in loader), accuracy


EVALUATIONS = {
    flat_argmax: "argmax over the wrong axis",
    mean_over_samples: "batch means divided by the number of samples",
}


@pytest.mark.parametrize("answer", EVALUATIONS, ids=lambda answer: answer.__name__)
def test_a_slip_in_an_evaluation_is_named(answer):
    assert check("evaluate", answer).mistake == EVALUATIONS[answer]


def test_two_mistakes_in_an_evaluation_are_named_although_one_of_them_raises():
    @torch.no_grad()
    def averaged_in_training_mode(model, loader):
        losses, hits = [], []
        for x, y in loader:
            output = model(x)
            losses.append(F.cross_entropy(output, y).item())
            hits.append((output.argmax(1) == y).float().mean().item())
        return sum(losses) / len(losses), sum(hits) / len(hits)

    found = check("evaluate", averaged_in_training_mode).mistake
    assert "eval() forgotten" in found
    assert "mean of batch means" in found


@pytest.mark.parametrize("name", [e.name for e in ch06.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_a_confusion_matrix_colors_mistakes_alone():
    ax = ch06.confusion_matrix([0, 0, 1], [0, 1, 1], num_classes=2)
    assert ax.images[0].get_array().tolist() == [[0, 1], [0, 0]]
    assert [text.get_text() for text in ax.texts] == ["1", "1", "0", "1"]


def test_the_title_of_a_stopping_point_tells_what_is_kept():
    ax = ch06.stopping_point([0.5, 0.4, 0.45, 0.42], kept=2, stopped=4)
    assert ax.get_title(loc="left") == "keeps epoch 2 (loss 0.400), stops after epoch 4"
    ax = ch06.stopping_point([0.5, 0.4], kept=2)
    assert ax.get_title(loc="left").endswith("no stop within 2 epochs")
