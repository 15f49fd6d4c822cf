"""Known mistakes written in other ways than the catalogue's get the same name."""

import copy
import math

import pytest
import torch
from torch import nn

from bnkit import checks


def forward_std(x, weight, bias, eps):
    return (x - x.mean(0)) / torch.sqrt(torch.std(x, 0) ** 2 + eps) * weight + bias


def forward_loop_unbiased(x, weight, bias, eps):
    """Its gradients are wrong too; the values come first."""
    y = torch.empty_like(x)
    for j in range(x.shape[1]):
        mu = sum(x[:, j].tolist()) / len(x)
        var = sum((v - mu) ** 2 for v in x[:, j].tolist()) / (len(x) - 1)
        y[:, j] = weight[j] * (x[:, j] - mu) / math.sqrt(var + eps) + bias[j]
    return y


def forward_no_grad(x, weight, bias, eps):
    with torch.no_grad():
        mu = x.mean(dim=0)
        var = ((x - mu) ** 2).mean(dim=0)
    return (x - mu) / (var + eps).sqrt() * weight + bias


def forward_sums_of_squares(x, weight, bias, eps):
    n = x.shape[0]
    mu = x.sum(0) / n
    var = (x**2).sum(0) / n - mu**2
    return weight * (x - mu) * torch.rsqrt(var.clamp(min=0) + eps) + bias


def forward_dim_one(x, weight, bias, eps):
    mu = x.mean(dim=-1, keepdim=True)
    return weight * (x - mu) / (((x - mu) ** 2).mean(-1, keepdim=True) + eps) ** 0.5 + bias


def forward_in_double_without_eps(x, weight, bias, eps):
    x = x.double()
    return weight * (x - x.mean(0)) / x.std(0, correction=0) + bias


FORWARD = {
    forward_std: "unbiased variance in the forward pass",
    forward_loop_unbiased: "unbiased variance in the forward pass",
    forward_no_grad: "detached statistics",
    forward_sums_of_squares: "variance as E[x²] − E[x]²",
    forward_dim_one: "wrong axis",
    forward_in_double_without_eps: "epsilon missing",
}


@pytest.mark.parametrize("answer", FORWARD, ids=lambda answer: answer.__name__)
def test_a_mistake_in_the_forward_pass_is_named(answer):
    assert checks.check_forward(answer).mistake == FORWARD[answer]


def keras(mean, var, x, m):
    mean.mul_(m).add_((1 - m) * x.mean(0))
    var.mul_(m).add_((1 - m) * x.var(0))
    return mean, var


def population(mean, var, x, m):
    for j in range(x.shape[1]):
        column = x[:, j].tolist()
        mu = sum(column) / len(column)
        mean[j] += m * (mu - mean[j])
        var[j] += m * (sum((v - mu) ** 2 for v in column) / len(column) - var[j])
    return mean, var


def test_a_mistake_in_the_running_statistics_is_named():
    assert checks.check_running_statistics(keras).mistake == "momentum on the wrong side"
    assert checks.check_running_statistics(population).mistake == "biased running variance"


def without_its_last_term(g, x, w, eps):
    std = (x.var(0, correction=0) + eps).sqrt()
    x_hat = (x - x.mean(0)) / std
    return w / (len(x) * std) * (len(x) * g - g.sum(0)), (g * x_hat).sum(0), g.sum(0)


def test_a_mistake_in_the_backward_pass_is_named():
    name = checks.check_backward(without_its_last_term).mistake
    assert name == "path through the variance missing"


class FromLibrary(nn.BatchNorm1d):
    """PyTorch's layer, changed on its surface."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)


class NeverEvaluates(FromLibrary):
    def train(self, mode=True):
        return super().train()


class KerasMomentum(FromLibrary):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, 1 - momentum)


class Untracked(FromLibrary):
    def forward(self, x):
        stats = (None, None) if self.training else (self.running_mean, self.running_var)
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean(0), self.momentum)
                self.running_var.lerp_(x.var(0, correction=0), self.momentum)
                self.num_batches_tracked += 1
        args = self.weight, self.bias, self.training, 0.0, self.eps
        return nn.functional.batch_norm(x, *stats, *args)


LAYERS = {
    NeverEvaluates: "mode ignored",
    KerasMomentum: "momentum on the wrong side",
    Untracked: "biased running variance",
}


@pytest.mark.parametrize("answer", LAYERS)
def test_a_mistake_in_the_layer_is_named(answer):
    assert checks.check_layer(answer).mistake == LAYERS[answer]


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
    assert checks.check_early_stopping(Popular).mistake == "asks whether it is worse"
    assert checks.check_early_stopping(Pickled).mistake == "state_dict not copied"


@torch.no_grad()
def chatty(model, loader):
    losses, hits = [], []
    for x, y in loader:
        scores = model(x)
        losses += [nn.functional.cross_entropy(scores, y).item()] * len(x)
        hits += (scores.argmax(1) == y).tolist()
    return sum(losses) / len(losses), sum(hits) / len(hits)


def test_a_mistake_in_an_evaluation_is_named():
    assert checks.check_evaluate(chatty).mistake == "eval() forgotten"


def ghost(shards, eps):
    means = torch.stack([x.mean(0) for x in shards])
    spread = torch.stack([x.var(0, correction=0) for x in shards])
    return [(x - means.mean(0)) / torch.sqrt(spread.mean(0) + eps) for x in shards]


def test_a_mistake_in_synchronized_statistics_is_named():
    assert checks.check_sync(ghost).mistake == "plain averages of the statistics"
