"""Layer, group and root-mean-square normalization."""

from __future__ import annotations

from ...creation import ones, zeros
from ...dtypes import dtype
from ...layout import Size
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["GroupNorm", "LayerNorm", "RMSNorm"]


class _Affine(Module):
    """A weight that starts at 1, and perhaps a bias that starts at 0."""

    def _learn(self, shape: object, weight: bool, bias: bool, kind: dtype | None) -> None:
        self.register_parameter("weight", Parameter(ones(shape, dtype=kind)) if weight else None)
        self.register_parameter("bias", Parameter(zeros(shape, dtype=kind)) if bias else None)

    def reset_parameters(self) -> None:
        """Start again."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)


def _shape(given: object) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(Size(given))


class LayerNorm(_Affine):
    """Each sample over its last axes."""

    def __init__(
        self, normalized_shape: object, eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: object = None, dtype: dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape, self.eps = _shape(normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self._learn(self.normalized_shape, elementwise_affine, elementwise_affine and bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes and settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine="
            f"{self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Each sample divided by the root of its mean square."""

    def __init__(
        self, normalized_shape: object, eps: float | None = None, elementwise_affine: bool = True,
        device: object = None, dtype: dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape, self.eps = _shape(normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        learned = (
            Parameter(ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None
        )
        self.register_parameter("weight", learned)

    def forward(self, input: Tensor) -> Tensor:
        """Divide."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Sizes and settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Affine):
    """Each sample over groups of channels."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        device: object = None, dtype: dtype | None = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.affine = affine
        self._learn(num_channels, affine, affine and bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes and settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
