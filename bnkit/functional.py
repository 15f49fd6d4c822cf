"""Batch normalization as a function, its lines in the order of its equations.

Shapes are written as in PyTorch: `N` the batch, `C` the channels (features), `*` any further
axes such as length, height and width. Statistics are taken over `(N, *)`: one mean and one
variance per channel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import Function, forward_ad
from torch.autograd.function import FunctionCtx
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from bnkit.shapes import (
    batch_axes,
    cast,
    check_batch_norm,
    count_per_channel,
    full_precision,
    per_channel,
)

__all__ = ["batch_norm", "batch_norm_backward", "batch_statistics", "fold_batch_norm"]

Reduce = Callable[[Tensor], Tensor]
Point = tuple[Tensor, Tensor]  # a mean as a sum of two, (C,) each: it is finer than one number
_LARGE = 2**20  # values; a copy of so many is made again in the backward pass rather than kept
_Conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_REMOVE = {
    WeightNorm: nn.utils.remove_weight_norm,
    SpectralNorm: nn.utils.remove_spectral_norm,
    prune.BasePruningMethod: prune.remove,
}
_ConvTranspose = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each channel over the batch, then scale and shift it.

    .. math::

        \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma \hat x + \beta

    In training, :math:`\mu` and :math:`\sigma^2` (biased) are the batch's own, and the running
    statistics move towards them in place: ``running = (1 - momentum) * running + momentum * new``,
    the new variance being the unbiased one. Otherwise the running statistics take their place.

    Args:
        input: Batch of shape (N, C, *), any floating point dtype.
        running_mean: Shape (C,), or None in training.
        running_var: Shape (C,), or None in training.
        weight: Gamma, shape (C,); None means 1. Like all of (C,): of the input's dtype, or
            float32 where the input is float16 or bfloat16.
        bias: Beta, shape (C,); None means 0.
        training: Normalize with the statistics of the batch instead of the running ones.
        momentum: Weight of the *new* value (Keras and ONNX: of the old one).
        eps: Added to the variance under the square root.

    Returns:
        Tensor of the input's shape and dtype.

    Raises:
        ValueError: One value per channel in training, `eps` out of range, or only one of the
            running statistics given.
        RuntimeError: Sizes or dtypes that do not match, or evaluation without statistics.
        NotImplementedError: Input that is not floating point.

    Example:
        >>> x = torch.tensor([[1.0, 10.0], [3.0, 50.0]])
        >>> batch_norm(x, None, None, training=True, eps=1e-12)
        tensor([[-1., -1.],
                [ 1.,  1.]])

    Source: Ioffe and Szegedy (2015), algorithms 1 and 2, https://arxiv.org/abs/1502.03167;
    ``torch.nn.functional.batch_norm``, whose signature this is.
    """
    if input.dim() == 1 and len(input) == 0:
        return input.clone()  # without an axis of channels, yet nothing to refuse; as PyTorch does
    check_batch_norm(input, running_mean, running_var, weight, bias, training, eps)
    return normalize(input, running_mean, running_var, weight, bias, training, momentum, eps)


def batch_statistics(input: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mean and biased variance of each channel.

    .. math::

        \mu = \frac{1}{m} \sum_i x_i, \qquad \sigma^2 = \frac{1}{m} \sum_i (x_i - \mu)^2

    Two passes on purpose: :math:`E[x^2] - E[x]^2` loses every digit once the mean is large.

    Args:
        input: Shape (N, C, *); float16 and bfloat16 are computed in float32.

    Returns:
        Mean and variance, each of shape (C,).

    Example:
        >>> mean, var = batch_statistics(torch.tensor([[1.0, 10.0], [3.0, 50.0]]))
        >>> mean, var
        (tensor([ 2., 30.]), tensor([  1., 400.]))

    Source: Ioffe and Szegedy (2015), algorithm 1, https://arxiv.org/abs/1502.03167.
    """
    x = full_precision(input)
    mean, _, centered = _center(x, count_per_channel(x), None)  # (C,), _, (N, C, *)
    return mean, centered.square().mean(batch_axes(x))


def batch_norm_backward(
    grad_output: Tensor, input: Tensor, weight: Tensor | None = None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Gradients of training-mode batch normalization, from the equations.

    With g the gradient with respect to the output and means over the batch:

    .. math::

        \nabla_\beta = \sum_i g_i, \qquad \nabla_\gamma = \sum_i g_i \hat x_i, \qquad
        \nabla_x = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
            \left(g - \overline{g} - \hat x \, \overline{g \hat x}\right)

    It reads only the inputs of the forward pass, so it can itself be differentiated.

    Args:
        grad_output: Shape (N, C, *).
        input: What was normalized, shape (N, C, *).
        weight: Gamma, shape (C,); None means 1.
        eps: As in the forward pass.

    Returns:
        ``grad_input`` (N, C, *), ``grad_weight`` (C,), ``grad_bias`` (C,).

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [6.0]])
        >>> grad_input, grad_weight, grad_bias = batch_norm_backward(torch.ones(3, 1), x)
        >>> grad_input.flatten(), grad_bias  # shifting every output alike moves no input
        (tensor([0., 0., 0.]), tensor([3.]))

    Source: Ioffe and Szegedy (2015), section 3, with the chain rule collected into three terms.
    """
    return _plain_backward(grad_output, input, weight, eps, count_per_channel(input), None)


def normalize(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    total: int | Tensor | None = None,
    reduce: Reduce | None = None,
) -> Tensor:
    """`batch_norm` without its refusals, of one batch or of a shard.

    Of a shard, `reduce` sums a tensor over all shards, which hold `total` values per channel: a
    tensor where to read it would make the host wait for the device.
    """
    if training and (total is not None or input.numel()):
        function = _plain if transformed() else _BatchNorm.apply
        rest = momentum, eps, count_per_channel(input) if total is None else total, reduce
        return function(input, weight, bias, running_mean, running_var, *rest)
    if training:  # nothing to learn from; these keep gradients defined
        running_mean, running_var = input.new_zeros(input.shape[1]), input.new_ones(input.shape[1])
    x = full_precision(input)
    centered = x - per_channel(running_mean, x)
    return _standardize(centered, running_var, weight, bias, eps, input.dtype)


def transformed() -> bool:
    """Whether more than a backward pass is wanted: by torch.func, forward mode or a trace."""
    transformed = torch._C._are_functorch_transforms_active()
    return transformed or forward_ad._current_level >= 0 or torch.jit.is_tracing()


def _plain(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    total: int | Tensor,
    reduce: Reduce | None,
) -> Tensor:
    """The equations as they stand, for autograd or a transform of torch.func to differentiate."""
    x = full_precision(input)
    mean, _, centered = _center(x, total, reduce)
    var = _mean(centered.square(), total, reduce)
    _update_running(running_mean, running_var, mean.detach(), var.detach(), momentum, total)
    return _standardize(centered, var, weight, bias, eps, input.dtype)


def _plain_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor | None,
    eps: float,
    total: int | Tensor,
    reduce: Reduce | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm_backward`, its lines in the order of the equations."""
    x, g = full_precision(input), full_precision(grad_output)
    _, _, centered = _center(x, total, reduce)
    rstd = (_mean(centered.square(), total, reduce) + eps).rsqrt()  # (C,)
    x_hat = centered * per_channel(rstd, x)
    grad_bias, grad_weight = g.sum(batch_axes(x)), (g * x_hat).sum(batch_axes(x))  # of this shard
    sum_g, sum_gx = _over_shards(grad_bias, grad_weight, reduce=reduce)
    scale = rstd if weight is None else rstd * weight
    grad_input = per_channel(scale, x) * (
        g - per_channel(sum_g / total, x) - x_hat * per_channel(sum_gx / total, x)
    )
    return grad_input.to(input.dtype), grad_weight, grad_bias


class _BatchNorm(Function):
    """The same equations in as few passes over the data as PyTorch's operations allow."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
        total: int | Tensor,
        reduce: Reduce | None,
    ) -> Tensor:
        x = full_precision(input)
        mean, (first, rest), centered = _center(x, total, reduce)
        var = _mean_square(centered, total, reduce)  # (C,)
        _update_running(running_mean, running_var, mean, var, momentum, total)
        rstd = (var + eps).rsqrt_()
        scale = rstd if weight is None else rstd * weight
        shared, own = (total, None) if isinstance(total, Tensor) else (None, total)
        large = x.numel() > _LARGE
        kept = (first.clone(), rest, None) if large else (None, None, centered)  # no view of x
        ctx.save_for_backward(input, weight, *kept, rstd, scale, shared)
        ctx.eps, ctx.total, ctx.reduce = eps, own, reduce
        return cast(_affine(centered, scale, bias, in_place=large), input.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, first, rest, centered, rstd, scale, total = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        shared = ctx.total if total is None else total, ctx.reduce
        if torch.is_grad_enabled():  # create_graph: saved intermediates carry no graph
            grads = _plain_backward(grad_output, input, weight, ctx.eps, *shared)
        else:
            g = full_precision(grad_output)
            if centered is None:
                x = full_precision(input)
                centered = _minus(x - per_channel(first, x), rest)
            grads = _fused_backward(g, centered, rstd, scale, needed[0], *shared)
        return *(g if need else None for g, need in zip(grads, needed, strict=True)), *[None] * 6


def _fused_backward(
    g: Tensor,
    centered: Tensor,
    rstd: Tensor,
    scale: Tensor,
    needs_input: bool,
    total: int | Tensor,
    reduce: Reduce | None,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """`_plain_backward` with x_hat = rstd * centered multiplied out."""
    grad_bias = g.sum(batch_axes(g))
    grad_weight = (g * centered).sum(batch_axes(g)).mul_(rstd)
    if not needs_input:
        return None, grad_weight, grad_bias
    sum_g, sum_gx = _over_shards(grad_bias, grad_weight, reduce=reduce)
    if isinstance(total, Tensor):
        sum_g, sum_gx, total = sum_g / total, sum_gx / total, 1
    along = per_channel(sum_gx * rstd, g)
    grad_input = torch.addcmul(g, centered, along, value=-1 / total)
    grad_input.sub_(per_channel(sum_g, g), alpha=1 / total).mul_(per_channel(scale, g))
    return grad_input, grad_weight, grad_bias


def _center(x: Tensor, total: int | Tensor, reduce: Reduce | None) -> tuple[Tensor, Point, Tensor]:
    """Mean of all shards (C,), the same as two numbers, and this shard minus it.

    The mean of long sums is rounded to the size of the values, which may be far from 0. So a first
    value of each channel is taken off before, which leaves numbers of the size of their spread.
    """
    first = _first_values(x)
    centered = x - per_channel(first, x)
    sums = centered.sum(batch_axes(x))
    if reduce is None:
        rest = sums / total
        mean = first + rest
    else:  # float64: every shard has another first value
        sums = sums.double() + count_per_channel(x) * first.double()
        mean = reduce(sums) / total
        rest = cast(mean - first.double(), x.dtype)
    return cast(mean, x.dtype), (first, rest), _minus(centered, rest)


def _minus(x: Tensor, rest: Tensor) -> Tensor:
    """`x` minus a mean, in place where no derivative is recorded."""
    rest = per_channel(rest, x)
    return x - rest if transformed() else x.sub_(rest)


def _first_values(x: Tensor) -> Tensor:
    """One value of each channel, as a constant; 0 where there is none."""
    if x.numel() == 0:
        return x.new_zeros(x.shape[1])
    first = x.detach().select(0, 0)  # (C, *)
    while first.dim() > 1:
        first = first.select(-1, 0)
    return first


def _mean(x: Tensor, total: int | Tensor, reduce: Reduce | None) -> Tensor:
    sums = x.sum(batch_axes(x))
    return (sums if reduce is None else reduce(sums)) / total


def _mean_square(x: Tensor, total: int | Tensor, reduce: Reduce | None) -> Tensor:
    if x.dim() == 2 or x.stride(-1) != 1:
        return _mean(x * x, total, reduce)
    norms = torch.linalg.vector_norm(x.flatten(2), dim=2)  # (N, C); writes nothing of x's size
    squares = norms.square_().sum(0)
    return (squares if reduce is None else reduce(squares)).div_(total)


def _over_shards(*sums: Tensor, reduce: Reduce | None) -> tuple[Tensor, ...]:
    """Sums over all shards from those of this one, in one message."""
    return sums if reduce is None else reduce(torch.stack(sums)).unbind()


def _standardize(
    centered: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    dtype: torch.dtype,
) -> Tensor:
    rstd = (full_precision(var) + eps).rsqrt()
    scale = rstd if weight is None else rstd * weight
    return cast(_affine(centered, scale, bias), dtype)


def _affine(x: Tensor, scale: Tensor, bias: Tensor | None, in_place: bool = False) -> Tensor:
    scale, bias = per_channel(scale, x), per_channel(bias, x)
    out = x if in_place else None
    if bias is None:
        return torch.mul(x, scale, out=out)
    if x.dim() == 2 or transformed():
        return torch.addcmul(bias, x, scale, out=out)
    return torch.mul(x, scale, out=out).add_(bias)  # addcmul is slow: one number for an image


def _update_running(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: Tensor,
    var: Tensor,
    momentum: float,
    count: int | Tensor,
) -> None:
    if running_mean is None:
        return
    unbiased = var * (count / (count - 1))
    running_mean.lerp_(cast(mean, running_mean.dtype), momentum)
    running_var.lerp_(cast(unbiased, running_var.dtype), momentum)


def fold_batch_norm(layer: nn.Module, bn: nn.Module) -> nn.Module:
    r"""Merge a linear or convolutional layer and the batch normalization after it into one layer.

    In evaluation mode batch normalization is affine, so that with
    :math:`s = \gamma / \sqrt{\sigma^2 + \epsilon}` (running statistics)

    .. math::

        s (W x + b - \mu) + \beta = (s W) x + \big(s (b - \mu) + \beta\big)

    Args:
        layer: `Linear`, `Conv1d/2d/3d` or `ConvTranspose1d/2d/3d` with C output channels.
        bn: PyTorch's or bnkit's `BatchNorm1d/2d/3d` of C features, in evaluation mode.

    Returns:
        A new layer of the same class, in evaluation mode; `layer` and `bn` stay as they are. What
        computed the weight (a parametrization, weight or spectral norm, pruning) is no part of it.

    Raises:
        TypeError: `layer` or `bn` is of another class, or has code of its own where it computes.
        ValueError: `bn` is in training mode, has no running statistics or another number of
            features; or one of the two has hooks, which can change what it computes.

    Example:
        >>> layer, bn = nn.Linear(3, 2), nn.BatchNorm1d(2).eval()
        >>> x = torch.randn(4, 3)
        >>> torch.allclose(fold_batch_norm(layer, bn)(x), bn(layer(x)), atol=1e-6)
        True

    Source: Jacob et al. (2018), section 3.2, https://arxiv.org/abs/1712.05877;
    ``torch.nn.utils.fuse_conv_bn_eval``.
    """
    folded = _without_parametrization(layer)
    _check_fold(folded, bn)
    with torch.no_grad():
        scale = (bn.running_var + bn.eps).rsqrt()  # (C,)
        scale = scale if bn.weight is None else scale * bn.weight
        bias = -bn.running_mean if folded.bias is None else folded.bias - bn.running_mean
        bias = scale * bias if bn.bias is None else scale * bias + bn.bias
        folded.weight.copy_(_scale_outputs(folded, scale))
        folded.bias = nn.Parameter(bias.to(folded.weight.dtype), folded.weight.requires_grad)
    return folded


def _without_parametrization(layer: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose parameters are what others computed for `layer`."""
    computed = {id(v): v.detach() for v in vars(layer).values() if isinstance(v, Tensor)}
    plain = copy.deepcopy(layer, computed).eval()  # autograd's results cannot be copied deeply
    if parametrize.is_parametrized(plain):  # the copy has the class of `layer`, so leave that whole
        values = {name: getattr(plain, name).detach() for name in plain.parametrizations}
        plain.__class__ = parametrize.type_before_parametrizations(plain)
        del plain.parametrizations
        for name, value in values.items():
            plain.register_parameter(name, nn.Parameter(value))
    for hook in list(plain._forward_pre_hooks.values()):  # the older kinds
        for kind, remove in _REMOVE.items():
            if isinstance(hook, kind):
                remove(plain, getattr(hook, "name", None) or hook._tensor_name)
    return plain


def _scale_outputs(layer: nn.Module, scale: Tensor) -> Tensor:
    weight = layer.weight
    if isinstance(layer, _ConvTranspose):  # (C_in, C / groups, *)
        grouped = weight.unflatten(0, (layer.groups, -1))  # (groups, C_in / groups, C / groups, *)
        scale = scale.view(layer.groups, 1, -1, *[1] * (weight.dim() - 2))
        return (grouped * scale).flatten(0, 1)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1))  # (C, ...)


def _computes_as_known(module: nn.Module) -> bool:
    names = ("__call__", "forward", "_conv_forward")
    methods = [getattr(module, name) for name in names if hasattr(module, name)]
    return all(method.__module__.startswith(("torch.nn.modules.", "bnkit.")) for method in methods)


def _check_fold(layer: nn.Module, bn: nn.Module) -> None:
    if not isinstance(layer, (nn.Linear, *_Conv, *_ConvTranspose)):
        raise TypeError(f"expected Linear, Conv or ConvTranspose, got {type(layer).__name__}")
    if not isinstance(bn, nn.modules.batchnorm._BatchNorm):
        raise TypeError(f"expected a batch norm, got {type(bn).__name__}")
    for module in (layer, bn):
        if not _computes_as_known(module) or hasattr(type(layer), "weight"):
            kind = type(module).__name__
            raise TypeError(f"expected a forward of PyTorch's or bnkit's, got {kind} with its own")
        if module._forward_pre_hooks or module._forward_hooks:
            raise ValueError(f"expected layers without hooks, got one on {type(module).__name__}")
    if bn.training:
        raise ValueError("expected a batch norm in evaluation mode (call eval()), got training")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("expected a batch norm with running statistics, got None")
    channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    if bn.num_features != channels:
        raise ValueError(
            f"expected a batch norm of {channels} features, as {type(layer).__name__} has "
            f"outputs, got {bn.num_features}"
        )
