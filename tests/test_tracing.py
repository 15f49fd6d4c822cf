"""torch.fx, torch.jit and torch.export take bnkit's layers as they take PyTorch's."""

import copy

import pytest
import torch
import torch.fx
from torch import nn
from torch.testing import assert_close
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from bnkit import layers, relatives
from bnkit.distributed import SyncBatchNorm

NORMS = {
    "BatchNorm2d": (layers.BatchNorm2d, (4,)),
    "SyncBatchNorm": (SyncBatchNorm, (4,)),
    "GroupNorm": (relatives.GroupNorm, (2, 4)),
    "InstanceNorm2d": (relatives.InstanceNorm2d, (4,)),
    "LayerNorm": (relatives.LayerNorm, ([4, 3, 3],)),
    "RMSNorm": (relatives.RMSNorm, (3,)),
}
X, Y = torch.randn(2, 8, 2, 5, 5, generator=torch.Generator().manual_seed(0))


def net(name):
    kind, arguments = NORMS[name]
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), kind(*arguments), nn.ReLU())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_fx_takes_a_layer_for_one_step(name, training):
    model = net(name).train(training)
    before = copy.deepcopy(model.state_dict())
    graph = torch.fx.symbolic_trace(model)
    assert [node.op for node in graph.graph.nodes].count("call_module") == 3
    assert_close(model.state_dict(), before)
    assert_close(graph(X[:5]), copy.deepcopy(model)(X[:5]))


def test_torchvisions_feature_extractor_goes_through():
    torch.manual_seed(0)
    model = resnet18(norm_layer=layers.BatchNorm2d, num_classes=2)
    extractor = create_feature_extractor(model, {"layer1.0.bn1": "first", "fc": "last"})
    images = torch.randn(2, 3, 32, 32)
    assert extractor(images)["first"].shape == (2, 64, 8, 8)
    assert_close(extractor.eval()(images)["last"], model.eval()(images))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_a_jit_trace_is_the_model_for_other_batches_too(name, training):
    model = net(name).train(training)
    traced = torch.jit.trace(model, X)
    twin = copy.deepcopy(model)
    assert_close(traced(Y[:5]), twin(Y[:5]))
    assert_close(traced.state_dict(), twin.state_dict())
    assert not any(buffer.requires_grad for buffer in model.buffers())


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [name for name in NORMS if name != "SyncBatchNorm"])
def test_a_jit_script_has_pytorchs_arithmetic_on_the_same_state(name, training):
    model = net(name).train(training)
    scripted, twin = torch.jit.script(model), copy.deepcopy(model)
    assert_close(scripted(X), twin(X), rtol=1e-4, atol=1e-5)
    assert_close(model.state_dict(), twin.state_dict())


@pytest.mark.parametrize("name", NORMS)
def test_exports(name):
    model = net(name).eval()
    assert_close(torch.export.export(model, (X,)).module()(Y), model(Y))
