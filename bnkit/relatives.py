"""The relatives of batch normalization: the same equations over other axes, and their layers.

None of them looks at other samples, so none has running statistics to keep (instance
normalization may, for parity with PyTorch). Of the layers, PyTorch's classes, only the arithmetic
is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm as InstanceNorm

from bnkit.layers import DropIn, leaf
from bnkit.shapes import check_groups, check_positions, check_trailing, full_precision, per_channel

__all__ = [
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "RMSNorm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
]


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each sample over its last axes.

    .. math::

        y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Args:
        input: Shape (\*, `normalized_shape`).
        normalized_shape: The last axes, over which mean and biased variance are taken.
        weight: Gamma, of shape `normalized_shape`; None means 1.
        bias: Beta, of shape `normalized_shape`; None means 0.
        eps: Added to the variance under the square root.

    Returns:
        Tensor of the input's shape and dtype.

    Raises:
        RuntimeError: The input does not end in `normalized_shape`, or `weight` or `bias` differ.

    Example:
        >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 50.0]]), (2,), eps=1e-12)
        tensor([[-1.,  1.],
                [-1.,  1.]])

    Source: Ba et al. (2016), https://arxiv.org/abs/1607.06450; ``torch.nn.functional.layer_norm``.
    """
    check_trailing(input, normalized_shape, weight, bias)
    axes = list(range(-len(normalized_shape), 0))
    x_hat = _standardize(full_precision(input), axes, eps)
    return _affine(x_hat, weight, bias).to(input.dtype)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    r"""Divide each sample by its root mean square; no mean is subtracted, no bias added.

    .. math::

        y = \gamma \, \frac{x}{\sqrt{\overline{x^2} + \epsilon}}

    Args:
        input: Shape (\*, `normalized_shape`).
        normalized_shape: The last axes, over which the mean square is taken.
        weight: Gamma, of shape `normalized_shape`; None means 1.
        eps: Added to the mean square; None means the machine epsilon of the dtype computed in.

    Returns:
        Tensor of the input's shape and dtype.

    Raises:
        RuntimeError: The input does not end in `normalized_shape`, or `weight` differs.

    Example:
        >>> rms_norm(torch.tensor([[3.0, 4.0]]), (2,)).square().mean()
        tensor(1.)

    Source: Zhang and Sennrich (2019), https://arxiv.org/abs/1910.07467;
    ``torch.nn.functional.rms_norm``.
    """
    check_trailing(input, normalized_shape, weight, None)
    x = full_precision(input)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    mean_square = x.square().mean(list(range(-len(normalized_shape), 0)), keepdim=True)
    return _affine(x * (mean_square + eps).rsqrt(), weight, None).to(input.dtype)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each sample over groups of channels, then scale and shift each channel.

    One group is layer normalization over (C, \*); C groups are instance normalization.

    Args:
        input: Shape (N, C, \*).
        num_groups: Divides C; each group of C / `num_groups` channels shares its statistics.
        weight: Gamma, shape (C,); None means 1.
        bias: Beta, shape (C,); None means 0.
        eps: Added to the variance under the square root.

    Returns:
        Tensor of the input's shape and dtype.

    Raises:
        RuntimeError: Fewer than 2 axes, C not divisible by `num_groups`, or `weight` or `bias`
            not of shape (C,).
        ValueError: One value in all for each group.

    Example:
        >>> group_norm(torch.tensor([[1.0, 3.0, 10.0, 50.0]]), num_groups=2, eps=1e-12)
        tensor([[-1.,  1., -1.,  1.]])

    Source: Wu and He (2018), https://arxiv.org/abs/1803.08494; ``torch.nn.functional.group_norm``.
    """
    check_groups(input, num_groups, weight, bias)
    x = full_precision(input)
    grouped = x.unflatten(1, (num_groups, -1))  # (N, G, C / G, *)
    x_hat = _standardize(grouped, list(range(2, grouped.dim())), eps).flatten(1, 2)
    return _affine(x_hat, per_channel(weight, x), per_channel(bias, x)).to(input.dtype)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalize each channel of each sample over its positions.

    Args:
        input: Shape (N, C, \*) with more than one position.
        running_mean: Shape (C,); moved in place towards the mean over samples, where given.
        running_var: Shape (C,); likewise, with the unbiased variance.
        weight: Gamma, shape (C,); None means 1.
        bias: Beta, shape (C,); None means 0.
        use_input_stats: Normalize with the input's own statistics, not the running ones.
        momentum: Weight of the *new* value.
        eps: Added to the variance under the square root.

    Returns:
        Tensor of the input's shape and dtype.

    Raises:
        ValueError: A single position per channel.
        RuntimeError: Running statistics are wanted but missing.

    Example:
        >>> instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 50.0]]]), eps=1e-12)
        tensor([[[-1.,  1.],
                 [-1.,  1.]]])

    Source: Ulyanov et al. (2016), https://arxiv.org/abs/1607.08022;
    ``torch.nn.functional.instance_norm``.
    """
    check_positions(input, running_mean, running_var, weight, bias, use_input_stats)
    x = full_precision(input)
    axes = list(range(2, x.dim()))
    if use_input_stats:
        x_hat = _standardize(x, axes, eps)
        if running_mean is not None:
            _update_running(running_mean, running_var, x.detach(), axes, momentum)
    else:
        rstd = (full_precision(running_var) + eps).rsqrt()
        x_hat = (x - per_channel(running_mean, x)) * per_channel(rstd, x)
    return _affine(x_hat, per_channel(weight, x), per_channel(bias, x)).to(input.dtype)


def _standardize(x: Tensor, axes: list[int], eps: float) -> Tensor:
    first = x.detach()
    for axis in axes if x.numel() else ():
        first = first.narrow(axis, 0, 1)
    centered = x - first  # far from 0 a mean is rounded; that of the distances to a value is not
    centered = centered - centered.mean(axes, keepdim=True)
    var = centered.square().mean(axes, keepdim=True)
    return centered * (var + eps).rsqrt()


def _affine(x_hat: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = x_hat if weight is None else x_hat * weight
    return y if bias is None else y + bias


def _update_running(
    running_mean: Tensor, running_var: Tensor, x: Tensor, axes: list[int], momentum: float
) -> None:
    mean, var = x.mean(axes).mean(0), x.var(axes).mean(0)  # (C,): over positions, then samples
    alias = torch.ops.aten.alias  # as PyTorch does, so that transforms of torch.func pass
    alias(running_mean).lerp_(mean.to(running_mean.dtype), momentum)
    alias(running_var).lerp_(var.to(running_var.dtype), momentum)


class LayerNorm(DropIn, nn.LayerNorm):
    """Layer normalization over the last axes, a drop-in for `torch.nn.LayerNorm`.

    Args:
        normalized_shape: The last axes of the input, or the size of the last one.
        eps: Added to the variance under the square root.
        elementwise_affine: Learn `weight` and `bias` of shape `normalized_shape`.
        bias: False leaves the bias out.
        device: Where the parameters live.
        dtype: Their dtype.

    Example:
        >>> LayerNorm(4)(torch.randn(2, 3, 4)).shape
        torch.Size([2, 3, 4])

    Source: Ba et al. (2016), https://arxiv.org/abs/1607.06450; ``torch.nn.LayerNorm``.
    """

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        """Normalize each sample over its last axes."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(DropIn, nn.RMSNorm):
    """Root-mean-square normalization over the last axes, a drop-in for `torch.nn.RMSNorm`.

    Args:
        normalized_shape: The last axes of the input, or the size of the last one.
        eps: Added to the mean square; None means the machine epsilon.
        elementwise_affine: Learn `weight` of shape `normalized_shape`; there is no bias.
        device: Where the parameters live.
        dtype: Their dtype.

    Example:
        >>> RMSNorm(2)(torch.tensor([[3.0, 4.0]])).square().mean().item()
        1.0

    Source: Zhang and Sennrich (2019), https://arxiv.org/abs/1910.07467; ``torch.nn.RMSNorm``.
    """

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        """Divide each sample by its root mean square."""
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)


class GroupNorm(DropIn, nn.GroupNorm):
    """Group normalization of (N, C, *), a drop-in for `torch.nn.GroupNorm`.

    Args:
        num_groups: Divides `num_channels`.
        num_channels: Number of channels C.
        eps: Added to the variance under the square root.
        affine: Learn `weight` and `bias` of shape (C,).
        device: Where the parameters live.
        dtype: Their dtype.
        bias: False leaves the bias out.

    Raises:
        ValueError: `num_groups` does not divide `num_channels`.

    Example:
        >>> GroupNorm(2, 6)(torch.randn(1, 6, 4, 4)).shape
        torch.Size([1, 6, 4, 4])

    Source: Wu and He (2018), https://arxiv.org/abs/1803.08494; ``torch.nn.GroupNorm``.
    """

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        """Normalize each sample over groups of channels."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class _InstanceNorm(DropIn):
    """The arithmetic, to stand before an instance normalization of PyTorch's."""

    forward = leaf(InstanceNorm.forward)

    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        from_input = self.training or not self.track_running_stats
        momentum = self.momentum or 0.0
        statistics, affine = (self.running_mean, self.running_var), (self.weight, self.bias)
        return instance_norm(input, *statistics, *affine, from_input, momentum, self.eps)


class InstanceNorm1d(_InstanceNorm, nn.InstanceNorm1d):
    """Instance normalization of (N, C, L) or (C, L), a drop-in for `torch.nn.InstanceNorm1d`.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance under the square root.
        momentum: Weight of the *new* value in the running statistics.
        affine: Learn `weight` and `bias` of shape (C,).
        track_running_stats: Keep running statistics, and evaluate with them.
        device: Where parameters and buffers live.
        dtype: Their dtype.

    Raises:
        ValueError: In `forward`: another number of axes, or a single position per channel.

    Example:
        >>> InstanceNorm1d(2)(torch.tensor([[[1.0, 3.0], [10.0, 50.0]]]))
        tensor([[[-1.0000,  1.0000],
                 [-1.0000,  1.0000]]])

    Source: Ulyanov et al. (2016), https://arxiv.org/abs/1607.08022; ``torch.nn.InstanceNorm1d``.
    """


class InstanceNorm2d(_InstanceNorm, nn.InstanceNorm2d):
    """Instance normalization of images (N, C, H, W), as :class:`InstanceNorm1d`.

    Example:
        >>> InstanceNorm2d(3)(torch.randn(2, 3, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """


class InstanceNorm3d(_InstanceNorm, nn.InstanceNorm3d):
    """Instance normalization of volumes (N, C, D, H, W), as :class:`InstanceNorm1d`.

    Example:
        >>> InstanceNorm3d(3)(torch.randn(2, 3, 4, 4, 4)).shape
        torch.Size([2, 3, 4, 4, 4])
    """


class LazyInstanceNorm1d(_InstanceNorm, nn.LazyInstanceNorm1d):
    """An `InstanceNorm1d` that takes its number of channels from its first batch.

    Example:
        >>> layer = LazyInstanceNorm1d()
        >>> y = layer(torch.randn(8, 3, 4))
        >>> type(layer).__name__, layer.num_features
        ('InstanceNorm1d', 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_InstanceNorm, nn.LazyInstanceNorm2d):
    """An `InstanceNorm2d` that takes its number of channels from its first batch.

    Example:
        >>> layer = LazyInstanceNorm2d()
        >>> y = layer(torch.randn(8, 3, 4, 4))
        >>> type(layer).__name__, layer.num_features
        ('InstanceNorm2d', 3)
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_InstanceNorm, nn.LazyInstanceNorm3d):
    """An `InstanceNorm3d` that takes its number of channels from its first batch.

    Example:
        >>> layer = LazyInstanceNorm3d()
        >>> y = layer(torch.randn(8, 3, 4, 4, 4))
        >>> type(layer).__name__, layer.num_features
        ('InstanceNorm3d', 3)
    """

    cls_to_become = InstanceNorm3d
