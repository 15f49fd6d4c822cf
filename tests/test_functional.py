"""bnkit.functional says what torch.nn.functional says, forward, backward and in its refusals."""

import copy

import pytest
import torch
from parity import assert_parity, assert_same_refusal, assert_same_signature
from torch import nn
from torch.nn import functional as T
from torch.testing import assert_close

from bnkit import functional as F
from bnkit import layers

SHAPES = [(2, 3), (64, 5), (1, 3, 7), (8, 3, 1), (4, 3, 5, 6), (2, 1, 4, 4), (2, 3, 4, 2, 3)]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def batch(shape, dtype=torch.float64, seed=0, state_dtype=None):
    """An input that requires a gradient, and weight, bias, running mean and variance for it."""
    generator = torch.Generator().manual_seed(seed)
    low = dtype in (torch.float16, torch.bfloat16)
    state_dtype = state_dtype or (torch.float32 if low else dtype)
    x = (3 * torch.randn(shape, generator=generator) + 2).to(dtype).requires_grad_()
    weight, bias, mean, var = torch.randn(4, shape[1], generator=generator).to(state_dtype)
    return x, weight.requires_grad_(), bias.requires_grad_(), mean, var.exp()


def train(function, x, weight=None, bias=None, mean=None, var=None, **keywords):
    return function(x, mean, var, weight, bias, training=True, **keywords)


def test_batch_norm_has_the_signature_of_pytorch():
    assert_same_signature(F.batch_norm, T.batch_norm)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_equals_pytorch(shape, dtype, training):
    x, weight, bias, mean, var = batch(shape, dtype)
    state, expected = (mean.clone(), var.clone()), (mean.clone(), var.clone())
    assert_parity(
        lambda x, w, b: F.batch_norm(x, *state, w, b, training=training),
        lambda x, w, b: T.batch_norm(x, *expected, w, b, training=training),
        *(x, weight, bias),
    )
    assert_close(state, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_throughout_equals_pytorch(dtype):
    x, weight, bias, mean, var = batch((16, 3, 5), dtype, state_dtype=dtype)
    assert_parity(
        lambda x, w, b: F.batch_norm(x, mean.clone(), var.clone(), w, b, training=True),
        lambda x, w, b: T.batch_norm(x, mean.clone(), var.clone(), w, b, training=True),
        *(x, weight, bias),
    )


@pytest.mark.parametrize("learned", ["weight", "bias", "neither"])
@pytest.mark.parametrize("shape", SHAPES[1:5:3])
def test_weight_and_bias_may_be_missing(shape, learned):
    x, weight, bias, *_ = batch(shape)
    w, b = {"weight": (weight, None), "bias": (None, bias), "neither": (None, None)}[learned]
    tensors = [t for t in (x, w, b) if t is not None]
    assert_parity(
        lambda *_: train(F.batch_norm, x, w, b), lambda *_: train(T.batch_norm, x, w, b), *tensors
    )


@pytest.mark.parametrize("shape", [(5, 2), (3, 2, 3), (2, 2, 2, 2)])
@pytest.mark.parametrize("affine", [True, False])
def test_gradients_and_gradients_of_gradients_agree_with_differences(shape, affine):
    x, weight, bias, *_ = batch(shape)
    arguments = (x, weight, bias) if affine else (x,)
    function = lambda *a: train(F.batch_norm, *a)  # noqa: E731
    assert torch.autograd.gradcheck(function, arguments)
    assert torch.autograd.gradgradcheck(function, arguments)


def test_batch_norm_backward_is_the_gradient_that_autograd_finds():
    x, weight, bias, *_ = batch((4, 3, 5))
    g = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(2)).double()
    found = torch.autograd.grad(train(T.batch_norm, x, weight, bias), (x, weight, bias), g)
    assert_close(F.batch_norm_backward(g, x, weight, 1e-5), found)


def test_input_gradient_has_no_mean_and_nothing_along_x_hat():
    x, *_ = batch((50, 3))
    g = torch.randn(50, 3, generator=torch.Generator().manual_seed(2)).double()
    grad_input, *_ = F.batch_norm_backward(g, x, eps=0)
    x_hat = train(F.batch_norm, x, eps=1e-30)
    assert_close(grad_input.mean(0), torch.zeros(3).double())
    assert_close((grad_input * x_hat).mean(0), torch.zeros(3).double())


def test_batch_statistics_are_the_mean_and_the_biased_variance():
    x = batch((4, 3, 5, 6))[0]
    mean, var = F.batch_statistics(x)
    assert_close(mean, x.mean((0, 2, 3)))
    assert_close(var, x.var((0, 2, 3), correction=0))


@pytest.mark.parametrize("shape", [(1000, 2), (100, 2, 10)])
def test_a_large_mean_leaves_the_variance_exact(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shifted = (x + 1e4).float()
    assert_close(
        F.batch_statistics(shifted)[1].double(), x.var([0, *range(2, x.dim())]), rtol=2e-3, atol=0
    )
    mean, var = torch.zeros(2), torch.zeros(2)
    train(F.batch_norm, shifted, None, None, mean, var, momentum=1.0)
    assert_close(var.double(), x.var([0, *range(2, x.dim())]), rtol=2e-3, atol=0)


@pytest.mark.parametrize("shape", [(64, 200), (17, 200), (16, 200, 5), (8, 200, 7, 7)])
def test_a_constant_channel_comes_out_as_0(shape):
    """PyTorch's is up to 1 off, and for images at 999.9 ours once was 0.096."""
    generator = torch.Generator().manual_seed(0)
    constants = 10 ** (10 * torch.rand(200, generator=generator) - 4)
    x = constants.view(1, -1, *[1] * (len(shape) - 2)).expand(shape)
    assert train(F.batch_norm, x.contiguous()).abs().max() == 0
    assert train(F.batch_norm, torch.full((128, 1, 16, 16), 999.9)).abs().max() == 0


@pytest.mark.parametrize("mean", [1e2, 1e4, 1e5])
@pytest.mark.parametrize("shape", [(1000, 2), (100, 2, 10), (32, 2, 16, 16), (4, 2, 8, 8, 8)])
def test_far_from_0_it_is_no_less_exact_than_pytorch(shape, mean):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + mean
    exact = train(T.batch_norm, x.double())
    ours, theirs = ((train(f, x) - exact).abs().max() for f in (F.batch_norm, T.batch_norm))
    assert ours <= theirs and ours < 2e-6


def test_evaluation_in_bfloat16_is_rounded_once():
    torch.manual_seed(0)
    x, mean, var, weight, bias = (torch.rand(9, 500).bfloat16() for _ in range(5))
    arguments = mean[0], var[0] / 50, weight[0], bias[0]
    exact = T.batch_norm(x.double(), *(v.double() for v in arguments))
    gap = (F.batch_norm(x, *arguments).double() - exact).abs()
    assert gap.max() <= (T.batch_norm(x, *arguments).double() - exact).abs().max()


@pytest.mark.parametrize("shape", [(128, 1, 16, 16), (1000, 2)])
def test_batch_statistics_of_a_constant_are_that_constant_and_0(shape):
    mean, var = F.batch_statistics(torch.full(shape, 999.9))
    assert mean.eq(torch.tensor(999.9)).all() and var.eq(0).all()


def test_a_first_value_far_from_the_others_costs_no_more_than_it_is_rounded_itself():
    x = torch.randn(1000, 3, 4, generator=torch.Generator().manual_seed(0))
    x[0, :, 0] = 1e4
    exact = train(T.batch_norm, x.double())
    assert_close(train(F.batch_norm, x).double(), exact, rtol=0, atol=2e-6 * exact.max().item())


def test_running_statistics_move_by_momentum_towards_the_unbiased_variance():
    x, mean, var = torch.tensor([[1.0], [3.0]]), torch.zeros(1), torch.ones(1)
    train(F.batch_norm, x, None, None, mean, var, momentum=0.25)
    assert_close(mean, torch.tensor([0.5]))  # 0.75 * 0 + 0.25 * 2
    assert_close(var, torch.tensor([1.25]))  # 0.75 * 1 + 0.25 * 2, where the biased one is 1


def test_running_statistics_grow_no_graph():
    x, weight, bias, mean, var = batch((8, 3))
    train(F.batch_norm, x, weight, bias, mean, var).sum().backward()
    assert mean.grad_fn is None and var.grad_fn is None
    copy.deepcopy((mean, var))


def test_evaluation_leaves_the_running_statistics_alone():
    x, weight, bias, mean, var = batch((8, 3))
    before = mean.clone(), var.clone()
    F.batch_norm(x, mean, var, weight, bias)
    assert_close((mean, var), before, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (2, 3, 0)])
def test_an_empty_batch_changes_nothing_and_has_zero_gradients(shape):
    x, weight, bias, mean, var = batch(shape)
    before = mean.clone(), var.clone()
    assert_parity(
        lambda *a: train(F.batch_norm, *a, mean, var),
        lambda *a: train(T.batch_norm, *a, mean.clone(), var.clone()),
        *(x, weight, bias),
    )
    assert_close((mean, var), before, rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(0,), (0, 0), (2, 0), (2, 0, 3)])
def test_an_input_without_channels_comes_back_empty(shape, training):
    x = torch.empty(shape, dtype=torch.float64, requires_grad=True)
    state = torch.zeros(0).double(), torch.ones(0).double()
    assert_parity(
        lambda x: F.batch_norm(x, *state, training=training),
        lambda x: T.batch_norm(x, *state, training=training),
        x,
    )


@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_autocast_keeps_the_dtype_of_the_input(low, dtype):
    x, weight, bias, *_ = batch((8, 3, 4, 4), dtype)
    with torch.autocast("cpu", dtype=low):
        assert_parity(
            lambda *a: train(F.batch_norm, *a), lambda *a: train(T.batch_norm, *a), x, weight, bias
        )


def test_channels_last_stays_channels_last():
    x, weight, bias, *_ = batch((2, 3, 4, 5))
    x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    y = train(F.batch_norm, x, weight, bias)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert_parity(
        lambda *a: train(F.batch_norm, *a), lambda *a: train(T.batch_norm, *a), x, weight, bias
    )


def test_transforms_of_torch_func_pass_through():
    x, *_ = batch((5, 8, 3))
    weight = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    per_model = torch.func.vmap(lambda x: train(F.batch_norm, x))(x)
    assert_close(per_model, torch.stack([train(T.batch_norm, part) for part in x]))
    grad = torch.func.grad(lambda w: train(F.batch_norm, x[0], w).pow(3).sum())(weight.detach())
    (expected,) = torch.autograd.grad(train(T.batch_norm, x[0], weight).pow(3).sum(), weight)
    assert_close(grad, expected)
    biases = torch.randn(4, 3, dtype=torch.float64)  # mapped over alone, beside an image batch
    shifted = torch.func.vmap(lambda bias: train(F.batch_norm, x[0, ..., None], None, bias))(biases)
    assert_close(
        shifted, torch.stack([train(T.batch_norm, x[0, ..., None], None, b) for b in biases])
    )


ONE = torch.ones(3)
REFUSED = {
    "one value per channel": ((torch.ones(1, 3), None, None), {"training": True}),
    "one position": ((torch.ones(1, 3, 1), None, None), {"training": True}),
    "eps 0 in training": ((torch.ones(4, 3), None, None), {"training": True, "eps": 0.0}),
    "negative eps": ((torch.ones(4, 3), ONE, ONE), {"eps": -1.0}),
    "integers": ((torch.ones(4, 3).long(), ONE, ONE), {}),
    "no statistics": ((torch.ones(4, 3), None, None), {}),
    "no variance": ((torch.ones(4, 3), ONE, None), {}),
    "half the statistics": ((torch.ones(4, 3), ONE, None), {"training": True}),
    "short weight": ((torch.ones(4, 3), ONE, ONE, torch.ones(2)), {}),
    "long bias": ((torch.ones(4, 3), ONE, ONE, None, torch.ones(4)), {}),
    "other mean": ((torch.ones(4, 5), ONE, ONE), {"training": True}),
    "learned mean": ((torch.ones(4, 3), torch.ones(3, requires_grad=True), ONE), {}),
    "double input": ((torch.ones(4, 3).double(), ONE, ONE), {}),
    "half state": ((torch.ones(4, 3), ONE.half(), ONE.half()), {}),
    "no channels": ((torch.ones(3), ONE, ONE), {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_batch_norm_refuses_what_pytorch_refuses(case):
    arguments, keywords = REFUSED[case]
    assert_same_refusal(F.batch_norm, T.batch_norm, *arguments, **keywords)


def test_a_refusal_tells_the_shape_received_and_the_one_expected():
    with pytest.raises(RuntimeError, match=r"\(5,\) for input of shape \(4, 5\), got \(3,\)"):
        F.batch_norm(torch.ones(4, 5), ONE, ONE)
    with pytest.raises(ValueError, match=r"more than 1 value per channel .* got \(1, 3\)"):
        F.batch_norm(torch.ones(1, 3), None, None, training=True)


FOLDED = {
    "linear": (nn.Linear(4, 6), nn.BatchNorm1d(6), (5, 4)),
    "linear, no bias": (nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), (5, 4)),
    "linear, not affine": (nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False), (5, 4)),
    "conv1d": (nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), (2, 4, 9)),
    "conv2d, groups": (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), (2, 4, 7, 7)),
    "conv3d": (nn.Conv3d(2, 6, 2, bias=False), nn.BatchNorm3d(6), (2, 2, 4, 4, 4)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), nn.BatchNorm2d(6), (2, 4, 5, 5)),
    "transposed, groups": (nn.ConvTranspose1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (2, 4, 5)),
}


@pytest.mark.parametrize("case", FOLDED)
def test_a_folded_layer_computes_what_the_two_computed(case):
    layer, bn, shape = FOLDED[case]
    layer, bn = copy.deepcopy(layer).double(), copy.deepcopy(bn).double()
    torch.manual_seed(0)
    for values in (*bn.parameters(), bn.running_mean, bn.running_var):
        nn.init.uniform_(values, 0.5, 2)
    x = torch.randn(shape).double()
    before = copy.deepcopy((layer.state_dict(), bn.state_dict()))
    folded = F.fold_batch_norm(layer.eval(), bn.eval())
    assert type(folded) is type(layer) and not folded.training
    assert_close(folded(x), bn(layer(x)), rtol=1e-12, atol=1e-12)
    assert_close((layer.state_dict(), bn.state_dict()), before, rtol=0, atol=0)


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


COMPUTED = {
    "weight norm": nn.utils.parametrizations.weight_norm,
    "spectral norm": nn.utils.parametrizations.spectral_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "own": lambda layer: nn.utils.parametrize.register_parametrization(layer, "weight", Halved()),
    "bias": lambda layer: nn.utils.parametrize.register_parametrization(layer, "bias", Halved()),
    "older weight norm": nn.utils.weight_norm,
    "older spectral norm": nn.utils.spectral_norm,
    "pruned": lambda layer: nn.utils.prune.l1_unstructured(layer, "weight", 0.5),
    "pruned twice": lambda layer: nn.utils.prune.random_unstructured(
        nn.utils.prune.l1_unstructured(layer, "weight", 0.3), "weight", 0.3
    ),
    "pruned bias": lambda layer: nn.utils.prune.l1_unstructured(layer, "bias", 0.5),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("make", [lambda: nn.Linear(4, 6), lambda: nn.Conv2d(4, 6, 3)])
@pytest.mark.parametrize("case", COMPUTED)
def test_folding_takes_the_weight_that_a_layer_computes(case, make):
    torch.manual_seed(0)
    layer = COMPUTED[case](make())
    linear = isinstance(layer, nn.Linear)
    bn = nn.BatchNorm1d(6) if linear else nn.BatchNorm2d(6)
    x = torch.randn(5, 4) if linear else torch.randn(5, 4, 7, 7)
    for values in layer.parameters():  # as an optimizer does: what is computed is stale
        values.data.mul_(3)
    bn(layer(x)).sum().backward()
    expected = bn.eval()(layer.eval()(x))
    before = copy.deepcopy(layer.state_dict())
    folded = F.fold_batch_norm(layer, bn)
    assert type(folded) in (nn.Linear, nn.Conv2d) and not folded._forward_pre_hooks
    assert sorted(folded.state_dict()) == ["bias", "weight"]
    assert_close(folded(x), expected, rtol=1e-4, atol=1e-5)
    assert_close(layer.state_dict(), before, rtol=0, atol=0)
    assert_close(layer(x), layer(x))


def test_folding_refuses_what_hooks_and_subclasses_may_compute():
    class Doubled(nn.Linear):
        def forward(self, input):
            return 2 * super().forward(input)

    hooked, watched = nn.Linear(2, 3), nn.BatchNorm1d(3).eval()
    hooked.register_forward_pre_hook(lambda module, inputs: None)
    watched.register_forward_hook(lambda module, inputs, output: 2 * output)
    with pytest.raises(ValueError, match="without hooks, got one on Linear"):
        F.fold_batch_norm(hooked, nn.BatchNorm1d(3).eval())
    with pytest.raises(ValueError, match="without hooks, got one on BatchNorm1d"):
        F.fold_batch_norm(nn.Linear(2, 3), watched)
    with pytest.raises(TypeError, match="got Doubled"):
        F.fold_batch_norm(Doubled(2, 3), nn.BatchNorm1d(3).eval())
    with pytest.raises(TypeError, match="a batch norm, got InstanceNorm1d"):
        F.fold_batch_norm(nn.Linear(2, 3), nn.InstanceNorm1d(3, track_running_stats=True).eval())


class Scaled(nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input, weight / weight.norm(), bias)


class Called(nn.Linear):
    def __call__(self, input):
        return 2 * super().__call__(input)


class Tripled(nn.Linear):
    weight = property(lambda self: 3 * self._parameters["weight"])


class Rectified(nn.BatchNorm1d):
    def forward(self, input):
        return super().forward(input).relu()


def of_class(kind, module):
    module.__class__ = kind
    return module


def patched(module):
    module.forward = lambda input: 2 * input
    return module


@pytest.mark.parametrize(
    ("layer", "bn"),
    [
        (Scaled(2, 3, 3), nn.BatchNorm2d(3)),
        (Called(2, 3), nn.BatchNorm1d(3)),
        (of_class(Tripled, nn.Linear(2, 3)), nn.BatchNorm1d(3)),
        (nn.Linear(2, 3), Rectified(3)),
        (patched(nn.Linear(2, 3)), nn.BatchNorm1d(3)),
        (nn.Linear(2, 3), patched(layers.BatchNorm1d(3))),
    ],
)
def test_folding_refuses_code_of_others_wherever_it_computes(layer, bn):
    with pytest.raises(TypeError, match="with its own"):
        F.fold_batch_norm(layer, bn.eval())


def test_folding_refuses_what_it_cannot_fold():
    with pytest.raises(TypeError, match="got ReLU"):
        F.fold_batch_norm(nn.ReLU(), nn.BatchNorm1d(3).eval())
    with pytest.raises(ValueError, match="got training"):
        F.fold_batch_norm(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="running statistics"):
        F.fold_batch_norm(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False).eval())
    with pytest.raises(ValueError, match="of 3 features"):
        F.fold_batch_norm(nn.Linear(2, 3), nn.BatchNorm1d(4).eval())
