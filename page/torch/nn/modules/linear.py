"""Linear layers and convolutions."""

from __future__ import annotations

import math

from ...creation import zeros
from ...dtypes import dtype
from ...lacking import lacks
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = [
    "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "Embedding", "Linear",
]  # fmt: skip


class _Weighted(Module):
    """A weight and perhaps a bias, drawn as PyTorch draws them."""

    def _draw(self, shape: tuple[int, ...], outputs: int, bias: bool, kind: dtype | None) -> None:
        self.weight = Parameter(zeros(shape, dtype=kind))
        if bias:
            self.bias = Parameter(zeros(outputs, dtype=kind))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan) if fan > 0 else 0
            init.uniform_(self.bias, -bound, bound)


class Linear(_Weighted):
    """A product with a matrix, and a bias."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: object = None,
        dtype: dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self._draw((out_features, in_features), out_features, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """The product with the matrix, and the bias: x W^T + b."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


def _each(value: object, count: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


class _Conv(_Weighted):
    """A convolution over so many axes."""

    _axes = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: object, stride: object = 1,
        padding: object = 0, dilation: object = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: object = None, dtype: dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if padding_mode != "zeros":
            raise lacks(f"padding_mode={padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.padding_mode, self.transposed = padding_mode, False
        self.kernel_size, self.stride = _each(kernel_size, self._axes), _each(stride, self._axes)
        self.padding = padding if isinstance(padding, str) else _each(padding, self._axes)
        self.dilation = _each(dilation, self._axes)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self._draw(shape, out_channels, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.convolve(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """The sizes, and what is not as usual."""
        usual = (0,) * self._axes, (1,) * self._axes
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        parts += [f"padding={self.padding}"] if self.padding != usual[0] else []
        parts += [f"dilation={self.dilation}"] if self.dilation != usual[1] else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        return ", ".join(parts)


class Conv1d(_Conv):
    """A convolution over (N, C, L)."""

    _axes = 1


class Conv2d(_Conv):
    """A convolution over (N, C, H, W)."""

    _axes = 2


class Conv3d(_Conv):
    """A convolution over (N, C, D, H, W)."""

    _axes = 3


class _Absent(Module):
    """A layer that exists in PyTorch alone."""

    def __init__(self, *args: object, **options: object) -> None:
        raise lacks(f"nn.{type(self).__name__}")


class ConvTranspose1d(_Absent):
    """Not here."""


class ConvTranspose2d(_Absent):
    """Not here."""


class ConvTranspose3d(_Absent):
    """Not here."""


class Bilinear(_Absent):
    """Not here."""


class Embedding(Module):
    """A row of a matrix for each whole number."""

    def __init__(self, num_embeddings: int, embedding_dim: int, **_options: object) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(zeros(num_embeddings, embedding_dim))
        init.normal_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """The rows."""
        return self.weight[input]

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"
