"""An examination changes nothing, whatever happens in it: on 20 models of torchvision."""

from __future__ import annotations

import copy
import random
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from bnkit.data import BatchLoader
from bnkit.doctor import examine
from bnkit.doctor import untouched as lending
from bnkit.models import BatchNormNet

SMALL = (
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0", "mnasnet0_5", "mnasnet1_0", "efficientnet_b0", "efficientnet_b1",
    "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet34", "resnet50", "densenet121",
    "squeezenet1_1", "googlenet", "resnext50_32x4d", "regnet_y_800mf", "swin_t",
)  # fmt: skip
SIDE, BATCH = 33, 2  # so small that each takes a second or two; two batches of two


def everything(model, loader=None):
    """What an examination could change: objects, values and versions of all tensors, and more."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {
        "tensors": [(name, id(t), t._version) for name, t in tensors],
        "values": [t.detach().clone() for _, t in tensors],
        "grads": [None if t.grad is None else (id(t.grad), t.grad.clone()) for _, t in tensors],
        "modes": [module.training for module in model.modules()],
        "classes": [type(module) for module in model.modules()],
        "attributes": [
            {name: len(value) if isinstance(value, dict) else None for name, value in own.items()}
            for own in map(vars, model.modules())
        ],
        "momenta": [getattr(module, "momentum", None) for module in model.modules()],
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].copy(),
        "torch": torch.get_rng_state(),
        "loader": None if loader is None else loader.generator.get_state(),
    }


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one.nan_to_num(), other.nan_to_num()) and one.dtype == other.dtype
    if isinstance(one, np.ndarray):
        return bool((one == other).all())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def changed(before, after):
    return [key for key in before if not same(before[key], after[key])]


def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (2 * BATCH, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    labels = torch.arange(2 * BATCH)
    return BatchLoader(pixels, labels, BATCH, shuffle=True, seed=3, flatten=False)


def patient(name):
    torch.manual_seed(0)
    counts = name.startswith("regnet")  # with tensors, while it is built
    with torch.device("cpu" if counts else "meta"):  # initialization takes longer than all else
        options = {"init_weights": False} if name == "googlenet" else {}
        model = getattr(models, name)(num_classes=10, **options)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.uniform_(0.01, 0.02) if tensor.is_floating_point() else tensor.zero_()
    first = next(model.parameters())
    first.grad = torch.ones_like(first)  # of a step that is under way
    return model


class StoppedError(Exception):
    """An exception of the model's own."""


def raising(model, how):
    """Let the model's last module raise; its hook is part of what must stay."""
    last = list(model.modules())[-1]

    def stop(module, inputs, output):
        if how == "interrupt":
            signal.raise_signal(signal.SIGINT)
        raise StoppedError

    last.register_forward_hook(stop)
    return {"interrupt": KeyboardInterrupt, "error": StoppedError}[how]


@pytest.mark.parametrize("name", SMALL)
def test_a_model_is_as_before_after_an_examination_an_error_and_an_interrupt(name):
    model, loader = patient(name), images()
    before = everything(model, loader)
    report = examine(model, loader, torch.optim.SGD(model.parameters(), 0.1))
    assert not changed(before, everything(model, loader))
    assert all(layer.values or name == "swin_t" for layer in report.layers[:1])
    how = ("error", "interrupt")[SMALL.index(name) % 2]
    expected = raising(model, how)
    before = everything(model, loader)
    with pytest.raises(expected):
        examine(model, loader)
    assert not changed(before, everything(model, loader))


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(1))


@pytest.mark.parametrize("how", ["error", "interrupt"])
def test_a_raise_in_the_loss_leaves_nothing_behind(how):
    model, loader = small(), images()
    before = everything(model, loader)

    def loss_fn(output, y):
        random.random()
        np.random.rand()
        torch.rand(1)
        if how == "interrupt":
            signal.raise_signal(signal.SIGINT)
        raise StoppedError

    with pytest.raises((StoppedError, KeyboardInterrupt)):
        examine(model, loader, loss_fn=loss_fn)
    assert not changed(before, everything(model, loader))


def test_an_interrupt_while_putting_back_waits_until_all_is_back(monkeypatch):
    model, loader = small(), images()
    before = everything(model, loader)
    put_back = lending._put_back

    def slow(saved):
        signal.raise_signal(signal.SIGINT)
        put_back(saved)

    monkeypatch.setattr(lending, "_put_back", slow)
    with pytest.raises(KeyboardInterrupt):
        examine(model, loader)
    assert not changed(before, everything(model, loader))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_compared_here_can_differ():
    model, loader = small(), images()
    before = everything(model, loader)
    model(next(iter(loader))[0]).sum().backward()
    model.eval()
    model[0].register_forward_hook(lambda *_: None)
    assert set(changed(before, everything(model, loader))) >= {
        "tensors", "values", "grads", "modes", "attributes", "torch", "loader",
    }  # fmt: skip


def test_statistics_that_are_plain_tensors_stay_as_they_are():
    class HomeMade(nn.Module):
        eps = 1e-5

        def __init__(self):
            super().__init__()
            self.running_mean, self.running_var = torch.zeros(3), torch.ones(3)
            self.seen = [torch.zeros(3)]

        def forward(self, x):
            self.running_mean.lerp_(x.mean((0, 2, 3)).detach(), 0.5)
            self.seen[0] += 1
            return x - self.running_mean[:, None, None]

    model = nn.Sequential(HomeMade(), nn.BatchNorm2d(3))
    examine(model, images())
    assert not model[0].running_mean.any() and not model[0].seen[0].any()


def test_a_graph_that_is_under_way_can_still_go_backward():
    model, x = BatchNormNet(), torch.randn(8, 784)
    loss = model(x).square().mean()
    expected = torch.autograd.grad(loss, model.fc1.weight, retain_graph=True)[0]
    examine(model, [(x, torch.zeros(8).long())])
    loss.backward()
    torch.testing.assert_close(model.fc1.weight.grad, expected)


def test_tied_weights_stay_tied_and_an_optimizer_steps_on_them_afterwards():
    model = nn.Sequential(nn.Linear(784, 784), nn.BatchNorm1d(784), nn.Linear(784, 784))
    model[2].weight = model[0].weight
    optimizer = torch.optim.Adam(model.parameters())
    before = copy.deepcopy(optimizer.state_dict())
    examine(model, [torch.randn(8, 784)], optimizer)
    assert model[2].weight is model[0].weight
    assert optimizer.state_dict() == before
    assert optimizer.param_groups[0]["params"][0] is model[0].weight


def test_a_recurrent_network_finds_its_weights_again():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.norm = nn.LSTM(3, 4, batch_first=True), nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(self.rnn(x)[0][:, -1])

    model = Reader()
    flat = list(map(id, model.rnn._flat_weights))
    examine(model, [(torch.randn(8, 5, 3), torch.arange(8) % 4)])
    assert list(map(id, model.rnn._flat_weights)) == flat
    assert model.rnn._flat_weights[0] is model.rnn.weight_ih_l0
