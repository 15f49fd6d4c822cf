"""bnkit.layers are drop-ins for PyTorch's layers."""

import copy
import inspect

import pytest
import torch
import torch.utils.checkpoint
from parity import assert_parity, assert_same_refusal
from torch import nn
from torch.testing import assert_close

from bnkit import layers

SHAPES = {
    "BatchNorm1d": [(8, 3), (4, 3, 5)],
    "BatchNorm2d": [(4, 3, 5, 6)],
    "BatchNorm3d": [(2, 3, 4, 2, 3)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
OPTIONS = [
    {},
    {"affine": False},
    {"momentum": None},
    {"momentum": 0.3, "eps": 0.1},
    {"track_running_stats": False},
    {"affine": False, "track_running_stats": False},
    {"dtype": torch.float64},
]


def pair(name, *arguments, **options):
    """bnkit's layer and PyTorch's, with the same weights that are not all 1 and 0."""
    torch.manual_seed(0)
    theirs = getattr(nn, name)(*arguments, **options)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours = getattr(layers, name)(*arguments, **options)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


def images(shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(shape, generator=generator) + 1).to(dtype).requires_grad_()


@pytest.mark.parametrize("name", SHAPES)
def test_takes_the_arguments_of_the_installed_torch(name):
    ours = inspect.signature(getattr(layers, name)).parameters
    for key, parameter in inspect.signature(getattr(nn, name)).parameters.items():
        assert ours[key].default == parameter.default and ours[key].kind == parameter.kind


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_equals_pytorch_over_several_steps_and_in_evaluation(name, shape, options):
    ours, theirs = pair(name, 3, **options)
    for step in range(3):
        assert_parity(ours, theirs, images(shape, options.get("dtype", torch.float32), step))
        assert_close(ours.state_dict(), theirs.state_dict())
    x = images(shape, options.get("dtype", torch.float32), 9)
    assert_parity(ours.eval(), theirs.eval(), x)
    assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_half_precision_input_leaves_the_state_in_float32(name, shape, dtype):
    ours, theirs = pair(name, 3)
    assert_parity(ours, theirs, images(shape, dtype))
    assert ours.weight.dtype == ours.running_var.dtype == torch.float32
    assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.skipif(
    "bias" not in inspect.signature(nn.BatchNorm1d).parameters, reason="torch without bias="
)
def test_bias_may_be_left_out():
    ours, theirs = pair("BatchNorm1d", 3, bias=False)
    assert ours.bias is None and list(ours.state_dict()) == list(theirs.state_dict())
    assert_parity(ours, theirs, images((8, 3)))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_weights_load_both_ways(options):
    ours, theirs = pair("BatchNorm2d", 3, **options)
    ours(images((4, 3, 5, 6), options.get("dtype", torch.float32)))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_close(theirs.state_dict(), ours.state_dict(), rtol=0, atol=0)


def test_an_empty_state_keeps_the_count():
    ours, theirs = pair("BatchNorm1d", 3)
    for layer in (ours, theirs):
        layer(images((8, 3)))
        layer.load_state_dict({}, strict=False)
        layer.load_state_dict({"running_mean": torch.ones(3)}, strict=False)
        assert layer.num_batches_tracked == 1
    assert_close(ours.state_dict(), theirs.state_dict())


def test_a_state_older_than_num_batches_tracked_loads():
    state = layers.BatchNorm1d(3).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    layer = layers.BatchNorm1d(3)
    layer.load_state_dict(state, strict=True)
    assert layer.num_batches_tracked == 0
    state._metadata[""]["version"] = 2
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        layer.load_state_dict(state, strict=True)


def test_momentum_none_averages_all_batches_alike():
    layer, batches = (
        layers.BatchNorm1d(3, momentum=None),
        [images((8, 3), seed=s) for s in range(5)],
    )
    for x in batches:
        layer(x)
    assert_close(layer.running_mean, torch.stack([x.mean(0) for x in batches]).mean(0))
    assert_close(layer.running_var, torch.stack([x.var(0) for x in batches]).mean(0))


def test_momentum_none_without_a_count_leaves_the_averages_alone_as_pytorch_does():
    ours, theirs = pair("BatchNorm1d", 3, momentum=None)
    ours.num_batches_tracked = theirs.num_batches_tracked = None
    assert_parity(ours, theirs, images((8, 3)))
    assert_close(ours.state_dict(), theirs.state_dict())
    assert ours.running_mean.equal(torch.zeros(3))


@pytest.mark.parametrize("grad", [True, False])
def test_mode_follows_training_and_not_whether_gradients_are_on(grad):
    layer, x = layers.BatchNorm1d(3), images((8, 3))
    with torch.set_grad_enabled(grad):
        assert_close(layer(x).mean(0), torch.zeros(3), atol=1e-5, rtol=0)
        assert layer.num_batches_tracked == 1
        assert layer.eval()(x).mean(0).abs().max() > 0.1
        assert layer.num_batches_tracked == 1


def test_can_be_copied_after_a_training_step():
    layer, x = layers.BatchNorm1d(3), images((8, 3))
    layer(x).pow(3).sum().backward()
    twin = copy.deepcopy(layer)
    layer(x)
    assert twin.num_batches_tracked == 1 and layer.num_batches_tracked == 2


def test_a_refused_batch_leaves_the_layer_as_it_was():
    layer = layers.BatchNorm1d(3)
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(ValueError, match=r"got \(1, 3\)"):
        layer(torch.ones(1, 3))
    assert_close(layer.state_dict(), before)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (2, 3, 0)])
def test_an_empty_batch_is_counted_and_changes_nothing_else(shape):
    ours, theirs = pair("BatchNorm1d", 3)
    assert_parity(ours, theirs, images(shape))
    assert_close(ours.state_dict(), theirs.state_dict())


REFUSED = {
    "unbatched 1d": ("BatchNorm1d", (3,)),
    "images in 1d": ("BatchNorm1d", (4, 3, 2, 2)),
    "one sample": ("BatchNorm1d", (1, 3)),
    "other channels": ("BatchNorm1d", (2, 4)),
    "unbatched 2d": ("BatchNorm2d", (3, 4, 4)),
    "other channels 2d": ("BatchNorm2d", (2, 5, 4, 4)),
    "unbatched 3d": ("BatchNorm3d", (3, 4, 4, 4)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_pytorch_refuses_and_tells_the_shape(case):
    name, shape = REFUSED[case]
    message = assert_same_refusal(getattr(layers, name)(3), getattr(nn, name)(3), torch.ones(shape))
    assert str(shape) in message


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_repr_names_every_argument(options):
    text = repr(layers.BatchNorm2d(3, **options))
    for key in ("eps", "momentum", "affine", "track_running_stats"):
        assert f"{key}=" in text
    assert text == repr(nn.BatchNorm2d(3, **options))


def test_reset_parameters_forgets_everything():
    layer = layers.BatchNorm1d(3)
    layer(images((8, 3)))
    nn.init.normal_(layer.weight)
    layer.reset_parameters()
    assert_close(layer.state_dict(), layers.BatchNorm1d(3).state_dict())


def test_meta_device_computes_shapes_only():
    layer = layers.BatchNorm2d(3, device="meta")
    assert layer(torch.empty(2, 3, 4, 4, device="meta")).shape == (2, 3, 4, 4)
    materialized = layer.to_empty(device="cpu")
    materialized.reset_parameters()
    assert_close(materialized.state_dict(), layers.BatchNorm2d(3).state_dict())


@pytest.mark.parametrize("training", [True, False])
def test_traced_by_dynamo_in_one_graph_it_equals_pytorch(training):
    ours, theirs = pair("BatchNorm2d", 3)
    compiled = torch.compile(ours.train(training), backend="aot_eager", fullgraph=True)
    x = images((4, 3, 5, 6))
    assert_close(compiled(x), theirs.train(training)(x), rtol=1e-4, atol=1e-5)
    (grad,) = torch.autograd.grad(compiled(x).pow(3).sum(), x)
    (expected,) = torch.autograd.grad(theirs(x).pow(3).sum(), x)
    theirs(x), ours(x)
    assert_close(grad, expected, rtol=1e-3, atol=1e-3)
    assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("training", [True, False])
def test_exports(training):
    layer, x = layers.BatchNorm1d(3).train(training), images((8, 3)).detach()
    exported = torch.export.export(copy.deepcopy(layer), (x,)).module()
    assert_close(exported(x), layer(x))


@pytest.mark.parametrize("name", SHAPES)
def test_the_layers_are_pytorchs_to_whoever_asks(name):
    layer = getattr(layers, name)(3)
    assert isinstance(layer, getattr(nn, name))
    assert isinstance(layer, nn.modules.batchnorm._BatchNorm)
    assert type(layer).forward is not getattr(nn, name).forward


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_lazy_layer_becomes_one_that_knows_its_channels(name, shape):
    ours = getattr(layers, f"Lazy{name}")(momentum=0.3)
    theirs = getattr(nn, f"Lazy{name}")(momentum=0.3)
    x = images(shape)
    assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert type(ours) is getattr(layers, name) and repr(ours) == repr(theirs)
    assert_close(ours.state_dict(), theirs.state_dict())
    assert_parity(ours, theirs, images(shape, seed=1))


def nets(**options):
    """The same network twice, with bnkit's layers and with PyTorch's."""
    ours, theirs = pair("BatchNorm1d", 3, **options)
    torch.manual_seed(0)
    linear = nn.Linear(3, 3)
    return nn.Sequential(linear, ours), nn.Sequential(copy.deepcopy(linear), theirs)


def test_update_bn_renews_the_statistics_of_an_averaged_model():
    loader = [images((8, 3), seed=s).detach() for s in range(3)]
    states = []
    for net in nets():
        averaged = torch.optim.swa_utils.AveragedModel(net)
        torch.optim.swa_utils.update_bn(loader, averaged)
        states.append(averaged.module[1].state_dict())
        assert averaged.module[1].momentum == 0.1
    assert_close(*states)
    assert states[0]["num_batches_tracked"] == 3


def test_functorchs_replacement_stops_the_tracking():
    ours, theirs = nets()
    x = images((8, 3)).detach()
    for net in (ours, theirs):
        torch.func.replace_all_batch_norm_modules_(net)
        assert net[1].running_mean is None and not net[1].track_running_stats
    for training in (True, False):
        assert_parity(ours.train(training), theirs.train(training), x)
    parameters = dict(ours.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(ours, parameters, x).square().sum()

    per_batch = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x.view(2, 4, 3))
    expected = torch.func.grad(loss)(parameters, x[:4])
    assert_close(per_batch["1.weight"][0], expected["1.weight"])


def test_pytorchs_conversion_finds_the_layers():
    net, _ = nets()
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert type(converted[1]) is nn.SyncBatchNorm


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("BatchNorm1d", nn.Linear(3, 3), (5, 3)),
        ("BatchNorm1d", nn.Conv1d(3, 3, 2), (5, 3, 4)),
        ("BatchNorm2d", nn.Conv2d(3, 3, 2), (5, 3, 4, 4)),
        ("BatchNorm3d", nn.Conv3d(3, 3, 2), (5, 3, 4, 4, 4)),
    ],
)
def test_pytorchs_fusing_takes_the_layers(name, layer, shape):
    ours, _ = pair(name, 3)
    x = images(shape).detach()
    ours(layer(x))
    layer, ours = layer.eval(), ours.eval()
    linear = isinstance(layer, nn.Linear)
    fuse = nn.utils.fuse_linear_bn_eval if linear else nn.utils.fuse_conv_bn_eval
    assert_close(fuse(layer, ours)(x), ours(layer(x)), rtol=1e-4, atol=1e-5)


def test_a_freezing_loop_finds_the_layers():
    net, _ = nets()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval().requires_grad_(False)
    before = copy.deepcopy(net[1].state_dict())
    net(images((8, 3)))
    assert_close(net[1].state_dict(), before)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("reentrant", [True, False])
def test_under_activation_checkpointing_the_state_moves_as_pytorchs_does(momentum, reentrant):
    states = []
    for net in nets(momentum=momentum):
        for seed in range(3):
            x = images((8, 3), seed=seed) + 10 * seed
            y = torch.utils.checkpoint.checkpoint(net, x, use_reentrant=reentrant)
            y.pow(3).sum().backward()
        states.append(net[1].state_dict())
    assert_close(*states)
