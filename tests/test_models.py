import os

import pytest
import torch
from torch import nn

from bnkit.models import MLP, BatchNormNet, load_weights, make_norm, save_weights

NORM_TYPES = {"torch": nn.BatchNorm1d, "none": nn.Identity, "layer": nn.LayerNorm}


def names(module):
    return [type(layer).__name__ for layer in module.children()]


def test_the_reference_network_is_linear_norm_relu_linear():
    net = BatchNormNet()
    assert names(net) == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert isinstance(net.bn1, nn.BatchNorm1d)
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters()}
    assert shapes == {
        "fc1.weight": (128, 784),
        "fc1.bias": (128,),
        "bn1.weight": (128,),
        "bn1.bias": (128,),
        "fc2.weight": (10, 128),
        "fc2.bias": (10,),
    }


@pytest.mark.parametrize("norm", NORM_TYPES)
def test_norm_chooses_the_layer(norm):
    assert type(make_norm(norm, 8)) is NORM_TYPES[norm]
    assert type(BatchNormNet(norm=norm).bn1) is NORM_TYPES[norm]


def test_norm_bnkit_is_bnkits_own_layer():
    from bnkit.layers import BatchNorm1d

    assert type(make_norm("bnkit", 8)) is BatchNorm1d


def test_norm_may_be_a_class_of_ones_own():
    class Mine(nn.BatchNorm1d):
        pass

    assert type(BatchNormNet(norm=Mine).bn1) is Mine


@pytest.mark.parametrize("make", [BatchNormNet, lambda norm: MLP([4, 3, 2], norm=norm)])
def test_an_unknown_norm_is_refused_with_the_known_ones(make):
    with pytest.raises(ValueError, match="unknown norm 'batch': expected one of torch, bnkit,"):
        make(norm="batch")


@pytest.mark.parametrize("norm", ["bnkit", "none", "layer"])
def test_every_norm_starts_from_the_same_linear_weights(norm):
    torch.manual_seed(0)
    reference = BatchNormNet().state_dict()
    torch.manual_seed(0)
    other = BatchNormNet(norm=norm).state_dict()
    assert all(other[k].equal(reference[k]) for k in other if k.startswith("fc"))


def test_bnkits_and_pytorchs_layers_give_the_same_network():
    torch.manual_seed(0)
    theirs, ours = BatchNormNet(), BatchNormNet(norm="bnkit")
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(64, 784)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x))
    theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("shape", [(3, 784), (3, 28, 28), (3, 1, 28, 28)])
@pytest.mark.parametrize("net", [BatchNormNet(), MLP([784, 16, 10])])
def test_images_are_flattened(net, shape):
    x = torch.rand(3, 784)
    assert net(x.view(shape)).equal(net(x)) and net(x).shape == (3, 10)


@pytest.mark.parametrize("shape", [(3, 1, 32, 32), (28, 28), (784,), (3, 783)])
@pytest.mark.parametrize("net", [BatchNormNet(), MLP([784, 16, 10])])
def test_a_wrong_shape_is_refused_and_quoted(net, shape):
    with pytest.raises(ValueError, match="784 features a sample, got") as error:
        net(torch.rand(shape))
    assert str(error.value).endswith(f"got {shape}")


def test_one_sample_in_training_is_refused_with_its_shape():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNormNet()(torch.rand(1, 784))


def test_an_mlp_normalizes_each_hidden_layer_before_its_activation():
    expected = ["Linear", "BatchNorm1d", "Tanh"] * 2 + ["Linear"]
    assert names(MLP([4, 8, 6, 2], activation="tanh")) == expected
    assert [m.out_features for m in MLP([4, 8, 6, 2]) if isinstance(m, nn.Linear)] == [8, 6, 2]


def test_an_mlp_can_normalize_after_the_activation():
    expected = ["Linear", "ReLU", "BatchNorm1d", "Linear"]
    assert names(MLP([4, 8, 2], norm_after=True)) == expected


def test_an_mlp_without_norm_has_no_layers_for_it():
    assert names(MLP([4, 8, 2], norm="none")) == ["Linear", "ReLU", "Linear"]


def test_an_mlp_of_two_sizes_is_one_linear_layer():
    assert names(MLP([4, 2])) == ["Linear"]


def test_an_activation_may_be_a_class():
    assert names(MLP([4, 8, 2], activation=nn.GELU))[2] == "GELU"


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="unknown activation 'swoosh': expected one of relu"):
        MLP([4, 8, 2], activation="swoosh")


def test_too_few_sizes_are_refused():
    with pytest.raises(ValueError, match=r"sizes of input and output at least, got \[4\]"):
        MLP([4])


def test_saved_weights_come_back_as_plain_tensors(tmp_path):
    net = BatchNormNet()
    save_weights(net, tmp_path / "net.pt")
    stored = torch.load(tmp_path / "net.pt", weights_only=True)
    assert stored.keys() == net.state_dict().keys()
    loaded = load_weights(BatchNormNet(), tmp_path / "net.pt").state_dict()
    assert all(loaded[k].equal(v) for k, v in net.state_dict().items())


def test_loading_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"0.weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="weights_only"):
        load_weights(MLP([2, 1]), tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_a_slice_of_a_deep_net_is_a_net_of_those_layers():
    net, x = MLP([4, 8, 2]), torch.randn(5, 4)
    assert names(net[:-1]) == names(net)[:-1]
    torch.testing.assert_close(net[-1](net[:-1](x)), net(x))
