"""bnkit.relatives: the functions and the layers say what PyTorch's say."""

import pytest
import torch
from parity import assert_parity, assert_same_refusal, assert_same_signature, refusal
from torch import nn
from torch.nn import functional as T
from torch.testing import assert_close

from bnkit import relatives

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def images(shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(shape, generator=generator) + 1).to(dtype).requires_grad_()


RELATIVES = {
    "layer_norm": ((2, 3, 4), ((3, 4),), (3, 4), 2),
    "rms_norm": ((2, 3, 4), ((4,),), (4,), 1),
    "group_norm": ((2, 6, 5), (3,), (6,), 2),
    "instance_norm": ((2, 3, 5, 4), (None, None), (3,), 2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_equal_pytorch(name, dtype):
    shape, arguments, parameter_shape, count = RELATIVES[name]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(dtype).requires_grad_()
    parameters = torch.randn(count, *parameter_shape, generator=generator).to(dtype)
    parameters = [p.requires_grad_() for p in parameters]
    assert_parity(
        lambda x, *p: getattr(relatives, name)(x, *arguments, *p),
        lambda x, *p: getattr(T, name)(x, *arguments, *p),
        *(x, *parameters),
    )


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_instance_norm_keeps_running_statistics_as_pytorch_does(momentum):
    x, (mean, var) = images((4, 3, 5)), (torch.zeros(3), torch.ones(3))
    state, expected = (mean.clone(), var.clone()), (mean.clone(), var.clone())
    for statistics in (True, False):
        y = relatives.instance_norm(x, *state, use_input_stats=statistics, momentum=momentum)
        assert_close(y, T.instance_norm(x, *expected, None, None, statistics, momentum))
    assert_close(state, expected)


REFUSED_RELATIVES = {
    "layer: other ending": ("layer_norm", (torch.ones(3, 4), (3,))),
    "layer: no axes": ("layer_norm", (torch.ones(3, 4), ())),
    "layer: short weight": ("layer_norm", (torch.ones(2, 3), (3,), torch.ones(2))),
    "rms: other ending": ("rms_norm", (torch.ones(3, 4), (3,))),
    "rms: short weight": ("rms_norm", (torch.ones(2, 3), (3,), torch.ones(2))),
    "group: no divisor": ("group_norm", (torch.ones(4, 6), 4)),
    "group: one value": ("group_norm", (torch.ones(1, 6), 6)),
    "group: one axis": ("group_norm", (torch.ones(6), 6)),
    "group: short weight": ("group_norm", (torch.ones(4, 6), 3, torch.ones(3))),
    "instance: no positions": ("instance_norm", (torch.ones(4, 6),)),
    "instance: one position": ("instance_norm", (torch.ones(4, 6, 1),)),
    "instance: no statistics": (
        "instance_norm",
        (torch.ones(4, 6, 2), None, None, None, None, False),
    ),
    "instance: short weight": ("instance_norm", (torch.ones(4, 6, 2), None, None, torch.ones(3))),
}


@pytest.mark.parametrize("case", REFUSED_RELATIVES)
def test_relatives_refuse_what_pytorch_refuses(case):
    name, arguments = REFUSED_RELATIVES[case]
    assert_same_refusal(getattr(relatives, name), getattr(T, name), *arguments)


LAYERS = [
    ("LayerNorm", (4,), {}, (2, 3, 4)),
    ("LayerNorm", ([3, 4],), {"bias": False}, (2, 3, 4)),
    ("LayerNorm", (4,), {"elementwise_affine": False}, (2, 3, 4)),
    ("RMSNorm", (4,), {}, (2, 3, 4)),
    ("RMSNorm", (4,), {"eps": 0.1}, (2, 3, 4)),
    ("GroupNorm", (2, 6), {}, (2, 6, 5)),
    ("GroupNorm", (3, 6), {"affine": False}, (2, 6, 4, 4)),
    ("InstanceNorm1d", (3,), {}, (2, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True}, (3, 5)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, (2, 3, 5, 4)),
    ("InstanceNorm2d", (3,), {"track_running_stats": True, "momentum": None}, (3, 5, 4)),
    ("InstanceNorm3d", (3,), {}, (2, 3, 2, 3, 2)),
]


def pair(name, arguments, options):
    """bnkit's layer and PyTorch's, with the same weights that are not all 1 and 0."""
    torch.manual_seed(0)
    theirs = getattr(nn, name)(*arguments, **options)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours = getattr(relatives, name)(*arguments, **options)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "instance_norm", "rms_norm"])
def test_the_functions_have_the_signatures_of_pytorch(name):
    assert_same_signature(getattr(relatives, name), getattr(T, name))


@pytest.mark.parametrize("name", [name for name in relatives.__all__ if hasattr(nn, name)])
def test_the_layers_are_pytorchs_and_take_its_arguments(name):
    ours, theirs = getattr(relatives, name), getattr(nn, name)
    assert issubclass(ours, theirs)
    assert_same_signature(ours, theirs)


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), LAYERS)
def test_the_layers_are_drop_ins(name, arguments, options, shape):
    ours, theirs = pair(name, arguments, options)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    for training in (True, True, False):
        assert_parity(ours.train(training), theirs.train(training), images(shape))
        assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 5, 4), (2, 3, 2, 3, 2)])
def test_a_lazy_instance_norm_becomes_one_that_knows_its_channels(shape):
    name = f"InstanceNorm{len(shape) - 2}d"
    options = {"affine": True, "track_running_stats": True}
    ours = getattr(relatives, f"Lazy{name}")(**options)
    theirs = getattr(nn, f"Lazy{name}")(**options)
    assert_close(ours(images(shape)), theirs(images(shape)), rtol=1e-4, atol=1e-5)
    assert type(ours) is getattr(relatives, name) and repr(ours) == repr(theirs)
    assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("InstanceNorm1d", (3,), (2, 3, 4, 4)),
        ("InstanceNorm1d", (3,), (2, 3, 1)),
        ("InstanceNorm2d", (3,), (2, 3)),
    ],
)
def test_the_layers_refuse_what_pytorchs_refuse(name, arguments, shape):
    error = refusal(getattr(relatives, name)(*arguments), torch.ones(shape))
    assert type(error) is type(refusal(getattr(nn, name)(*arguments), torch.ones(shape)))
    assert isinstance(error, ValueError)


def test_group_norm_refuses_groups_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match="divisible"):
        relatives.GroupNorm(4, 6)


ON_SAMPLES = {
    "layer_norm": lambda f, x: f(x.flatten(1), x.flatten(1).shape[1:]),
    "group_norm": lambda f, x: f(x, 2),
    "instance_norm": lambda f, x: f(x),
}


@pytest.mark.parametrize("shape", [(200, 4, 7, 7), (200, 2, 16, 16), (200, 2, 5)])
@pytest.mark.parametrize("name", ON_SAMPLES)
def test_a_constant_sample_comes_out_as_0(name, shape):
    constants = 10 ** (10 * torch.rand(200, generator=torch.Generator().manual_seed(0)) - 4)
    x = constants.view(-1, *[1] * (len(shape) - 1)).expand(shape)
    assert ON_SAMPLES[name](getattr(relatives, name), x).abs().max() == 0


@pytest.mark.parametrize("name", ON_SAMPLES)
def test_far_from_0_they_are_no_less_exact_than_pytorch(name):
    x = torch.randn(200, 4, 6, 6, generator=torch.Generator().manual_seed(0)) + 1e5
    exact = ON_SAMPLES[name](getattr(T, name), x.double())
    ours, theirs = (
        (ON_SAMPLES[name](getattr(module, name), x) - exact).abs().max()
        for module in (relatives, T)
    )
    assert ours <= theirs and ours < 2e-6
