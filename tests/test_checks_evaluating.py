"""Right answers to the exercises on training, evaluation and re-estimated statistics."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnkit import training
from bnkit.checks import check_evaluate, check_reestimate, check_training_step
from bnkit.checks.solutions.by_hand import training_step


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


def summed(net, batches):
    net.train(False)
    results = [(net(x), y) for x, y in batches]
    losses = [F.cross_entropy(output, y, reduction="none") for output, y in results]
    hits = [output.argmax(-1).eq(y).float() for output, y in results]
    net.train()
    return torch.cat(losses).mean(), torch.cat(hits).mean()


@pytest.mark.parametrize("answer", [training.evaluate, chapter, at_once, summed])
def test_a_right_evaluation_passes_however_it_is_written(answer):
    assert check_evaluate(answer).passed


def zero_last(model, optimizer, x, y):
    loss = nn.NLLLoss()(model.train()(x).log_softmax(1), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.detach()


@pytest.mark.parametrize("answer", [training_step, zero_last])
def test_a_right_step_passes_however_it_is_written(answer):
    result = check_training_step(answer)
    assert result.passed, repr(result)


def in_place(model, batches):
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.momentum = None
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)


def averaged(model, batches):
    model = copy.deepcopy(model)
    model[0].running_mean = torch.stack([x.mean(0) for x in batches]).mean(0)
    model[0].running_var = torch.stack([x.var(0) for x in batches]).mean(0)
    return model


@pytest.mark.parametrize("answer", [in_place, averaged])
def test_a_right_reestimation_passes_however_it_is_written(answer):
    assert check_reestimate(answer).passed


def test_an_unknown_mistake_is_told_where_the_values_part():
    def moved(model, batches):
        in_place(model, batches)
        with torch.no_grad():
            model[1].weight.zero_()

    assert check_reestimate(moved).stage == "weight of the linear layer"
