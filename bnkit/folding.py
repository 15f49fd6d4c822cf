"""Folding a batch normalization into the layer before it: at inference it costs nothing."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["fold_batch_norm"]

_Conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_ConvTranspose = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


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
        A new layer of the same class, in evaluation mode; `layer` and `bn` stay as they are.

    Raises:
        TypeError: `layer` is of another class.
        ValueError: `bn` is in training mode, has no running statistics or another number of
            features.

    Example:
        >>> layer, bn = nn.Linear(3, 2), nn.BatchNorm1d(2).eval()
        >>> x = torch.randn(4, 3)
        >>> torch.allclose(fold_batch_norm(layer, bn)(x), bn(layer(x)), atol=1e-6)
        True

    Source: Jacob et al. (2018), section 3.2, https://arxiv.org/abs/1712.05877;
    ``torch.nn.utils.fuse_conv_bn_eval``.
    """
    _check(layer, bn)
    folded = copy.deepcopy(layer).eval()
    with torch.no_grad():
        scale = (bn.running_var + bn.eps).rsqrt()  # (C,)
        scale = scale if bn.weight is None else scale * bn.weight
        bias = -bn.running_mean if layer.bias is None else layer.bias - bn.running_mean
        bias = scale * bias if bn.bias is None else scale * bias + bn.bias
        folded.weight.copy_(_scale_outputs(layer, scale))
        folded.bias = nn.Parameter(bias.to(layer.weight.dtype), layer.weight.requires_grad)
    return folded


def _scale_outputs(layer: nn.Module, scale: Tensor) -> Tensor:
    weight = layer.weight
    if isinstance(layer, _ConvTranspose):  # (C_in, C / groups, *)
        grouped = weight.unflatten(0, (layer.groups, -1))  # (groups, C_in / groups, C / groups, *)
        scale = scale.view(layer.groups, 1, -1, *[1] * (weight.dim() - 2))
        return (grouped * scale).flatten(0, 1)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1))  # (C, ...)


def _check(layer: nn.Module, bn: nn.Module) -> None:
    if not isinstance(layer, (nn.Linear, *_Conv, *_ConvTranspose)):
        raise TypeError(f"expected Linear, Conv or ConvTranspose, got {type(layer).__name__}")
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
