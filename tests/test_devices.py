"""bnkit computes where the model is, and picks that place once."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bnkit
from bnkit import layers, relatives
from bnkit.data.loader import BatchLoader
from bnkit.models import MLP, BatchNormNet
from bnkit.training import evaluate, fit
from bnkit.training.place import device_of, move

PACKAGE = Path(bnkit.__file__).parent
CASES = {
    "BatchNorm1d": ((4,), (3, 4)),
    "BatchNorm2d": ((4,), (3, 4, 5, 5)),
    "BatchNorm3d": ((4,), (3, 4, 2, 5, 5)),
    "LayerNorm": ((4,), (3, 4)),
    "GroupNorm": ((2, 4), (3, 4, 5)),
    "InstanceNorm1d": ((4,), (3, 4, 5)),
    "InstanceNorm2d": ((4,), (3, 4, 5, 5)),
    "InstanceNorm3d": ((4,), (3, 4, 2, 5, 5)),
    "RMSNorm": ((4,), (3, 4)),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    "kind",
    [
        getattr(module, name)
        for module in (layers, relatives)
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) and not name.startswith("Lazy")
    ],
)
def test_every_layer_lives_and_computes_on_its_device(kind, device):
    arguments, shape = CASES[kind.__name__]
    layer = kind(*arguments, device=device)
    tensors = [*layer.parameters(), *layer.buffers()]
    assert {t.device.type for t in tensors} <= {device}
    for training in (True, False):
        y = layer.train(training)(torch.empty(shape, device=device).zero_())
        assert y.device.type == device and y.shape == shape


@pytest.mark.parametrize("norm", ["torch", "bnkit", "none", "layer"])
@pytest.mark.parametrize("make", [BatchNormNet, lambda norm: MLP([784, 16, 10], norm)])
def test_networks_and_their_gradients_follow_the_device(make, norm):
    model = make(norm=norm).to("meta")
    F.cross_entropy(model(torch.zeros(4, 28, 28, device="meta")), torch.zeros(4).long().to("meta"))
    model(torch.zeros(4, 784, device="meta")).sum().backward()
    assert {p.grad.device.type for p in model.parameters()} == {"meta"}


class SeenError(Exception):
    pass


@pytest.mark.parametrize("device", ["meta", "auto"])
def test_fit_and_evaluate_bring_batches_to_the_model(device):
    seen = []

    def loss_fn(output, y):
        seen.extend([output.device.type, y.device.type])
        raise SeenError

    model = nn.Linear(784, 10, device="meta")
    loader = BatchLoader(torch.zeros(4, 28, 28, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(SeenError):
        fit(model, loader, loss_fn=loss_fn, device=device)
    with pytest.raises(SeenError):
        evaluate(model, loader, loss_fn)
    assert seen == ["meta"] * 4


def test_fit_trains_on_the_device_it_is_told_and_gives_the_model_back():
    model = nn.Linear(2, 2)
    history = fit(model, [(torch.ones(4, 2), torch.zeros(4).long())], epochs=1, device="cpu")
    assert len(history.train_loss) == 1 and device_of(model).type == "cpu"


@pytest.mark.parametrize(("gpu", "expected"), [(True, ["cuda"]), (False, [])])
def test_auto_takes_cuda_if_there_is_any_and_else_stays(monkeypatch, gpu, expected):
    model, asked = nn.Linear(2, 2), []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(model, "to", asked.append)
    move(model, "auto")
    assert asked == expected


def test_a_model_without_parameters_is_on_the_cpu():
    assert device_of(nn.ReLU()).type == "cpu"


def test_one_module_picks_the_device():
    choice = re.compile(r"cuda\.is_available|mps\.is_available|torch\.accelerator")
    modules = {p.stem for p in PACKAGE.rglob("*.py") if choice.search(p.read_text("utf-8"))}
    # randomness saves a GPU's generator; replicas gives each process a GPU of its own
    assert modules == {"place", "randomness", "replicas"}
