"""All ways by which PyTorch differentiates work through bnkit's layers, as through its own."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, functional
from torch.testing import assert_close

from bnkit import layers, relatives
from bnkit.distributed import SyncBatchNorm

LAYERS = {
    "BatchNorm1d": (layers.BatchNorm1d, nn.BatchNorm1d, (3,), {}, (8, 3)),
    "BatchNorm2d": (layers.BatchNorm2d, nn.BatchNorm2d, (3,), {}, (4, 3, 2, 2)),
    "without statistics": (
        *(layers.BatchNorm1d, nn.BatchNorm1d, (3,)),
        *({"track_running_stats": False}, (5, 3, 2)),
    ),
    "SyncBatchNorm": (SyncBatchNorm, nn.BatchNorm1d, (3,), {}, (8, 3)),
    "LayerNorm": (relatives.LayerNorm, nn.LayerNorm, (3,), {}, (8, 3)),
    "RMSNorm": (relatives.RMSNorm, nn.RMSNorm, (3,), {}, (8, 3)),
    "GroupNorm": (relatives.GroupNorm, nn.GroupNorm, (2, 4), {}, (5, 4, 3)),
    "InstanceNorm1d": (relatives.InstanceNorm1d, nn.InstanceNorm1d, (3,), {}, (5, 3, 4)),
    "InstanceNorm1d, tracking": (
        *(relatives.InstanceNorm1d, nn.InstanceNorm1d, (3,)),
        *({"track_running_stats": True, "affine": True}, (5, 3, 4)),
    ),
}


def direction(x):
    return torch.arange(x.numel(), dtype=x.dtype).view(x.shape).sin()


def cubed(layer):
    return lambda x: layer(x).pow(3).sum()


def batched_gradients(layer, x):
    y = layer(x)
    basis = torch.eye(y.numel(), dtype=x.dtype).view(-1, *y.shape)
    return torch.autograd.grad(y, x, basis, is_grads_batched=True)[0]


def forward_mode(layer, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(layer(forward_ad.make_dual(x, direction(x)))).tangent


def forward_over_reverse(layer, x):
    with forward_ad.dual_level():
        y = cubed(layer)(forward_ad.make_dual(x, direction(x)))
        return forward_ad.unpack_dual(torch.autograd.grad(y, x)[0]).tangent


WAYS = {
    "batched gradients": batched_gradients,
    "forward mode": forward_mode,
    "forward over reverse": forward_over_reverse,
    "jacobian": lambda layer, x: functional.jacobian(layer, x, vectorize=True),
    "jacobian, forward": lambda layer, x: functional.jacobian(
        layer, x, vectorize=True, strategy="forward-mode"
    ),
    "hessian": lambda layer, x: functional.hessian(cubed(layer), x, vectorize=True),
    "hvp": lambda layer, x: functional.hvp(cubed(layer), x, direction(x))[1],
    "func.jvp": lambda layer, x: torch.func.jvp(layer, (x,), (direction(x),))[1],
    "func.vjp": lambda layer, x: torch.func.vjp(layer, x)[1](direction(x))[0],
    "func.jacrev": lambda layer, x: torch.func.jacrev(layer)(x),
    "func.jacfwd": lambda layer, x: torch.func.jacfwd(layer)(x),
    "func.hessian": lambda layer, x: torch.func.hessian(cubed(layer))(x),
    "func.linearize": lambda layer, x: torch.func.linearize(layer, x)[1](direction(x)),
    "func.vmap of grad": lambda layer, x: torch.func.vmap(torch.func.grad(cubed(layer)))(
        torch.stack([x, 2 * x + 1])
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_way_to_differentiate_gives_what_it_gives_for_pytorchs_layer(name, way, training):
    ours, theirs, arguments, options, shape = LAYERS[name]
    found = []
    for kind in (ours, theirs):
        layer = kind(*arguments, dtype=torch.float64, **options).train(training)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        try:
            found.append(WAYS[way](layer, x.requires_grad_()))
        except (RuntimeError, NotImplementedError) as error:
            found.append(error)
    if isinstance(found[1], Exception):  # such as statistics to be moved inside of torch.func
        pytest.skip(f"PyTorch's own: {str(found[1]).splitlines()[0]}")
    assert_close(*found, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_agree_with_differences_however_they_are_found(name):
    kind, _, arguments, options, shape = LAYERS[name]
    layer, shape = kind(*arguments, dtype=torch.float64, **options), (3, *shape[1:])
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    everything = {"check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(layer, x, check_batched_grad=True, **everything)
    assert torch.autograd.gradgradcheck(layer, x, check_batched_grad=True, check_fwd_over_rev=True)
