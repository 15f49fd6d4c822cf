"""Layers that normalize each sample on its own: drop-ins for PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnkit import relatives as F

__all__ = ["GroupNorm", "LayerNorm", "RMSNorm"]


class AffineModule(nn.Module):
    """Owner of `weight` (gamma) and `bias` (beta), each of them possibly None."""

    def _make_affine(self, shape, weight, bias, device, dtype):
        for name, wanted in (("weight", weight), ("bias", bias)):
            value = nn.Parameter(torch.empty(shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class LayerNorm(AffineModule):
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

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        affine = elementwise_affine
        self._make_affine(self.normalized_shape, affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Normalize each sample over its last axes."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the arguments in `repr`."""
        return f"{self.normalized_shape}, eps={self.eps}, bias={self.bias is not None}"


class RMSNorm(AffineModule):
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

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_affine(self.normalized_shape, elementwise_affine, False, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Divide each sample by its root mean square."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Show the arguments in `repr`."""
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(AffineModule):
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

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"expected num_groups dividing {num_channels}, got {num_groups}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_affine((num_channels,), affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Normalize each sample over groups of channels."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the arguments in `repr`."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


def _as_tuple(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)
