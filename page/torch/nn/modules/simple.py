"""Layers without parameters, and the losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = [
    "ELU", "GELU", "AdaptiveAvgPool2d", "AvgPool2d", "CrossEntropyLoss", "Dropout", "Flatten",
    "Identity", "LeakyReLU", "LogSoftmax", "MSELoss", "MaxPool2d", "NLLLoss", "ReLU", "SiLU",
    "Sigmoid", "Softmax", "Softplus", "Tanh", "Unflatten",
]  # fmt: skip


class Identity(Module):
    """Gives what it takes."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input."""
        return input


def _activation(name: str, function: Callable[[Tensor], Tensor]) -> type:
    def forward(self: Module, input: Tensor) -> Tensor:
        return function(input)

    forward.__module__ = __name__
    names = {"forward": forward, "__doc__": f"The function {name}.", "__module__": __name__}
    return type(name, (Module,), names)


Sigmoid = _activation("Sigmoid", lambda x: x.sigmoid())
Tanh = _activation("Tanh", lambda x: x.tanh())
SiLU = _activation("SiLU", lambda x: x * x.sigmoid())
Softplus = _activation("Softplus", F.softplus)
ELU = _activation("ELU", F.elu)


class ReLU(Module):
    """Negative numbers become 0."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The larger of a number and 0."""
        return F.relu(input, self.inplace)

    def extra_repr(self) -> str:
        """Whether it writes into its input."""
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """Negative numbers become small."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """A number, or a part of it where it is negative."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class GELU(Module):
    """A number times the share of the normal distribution below it."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """The function."""
        return F.gelu(input)

    def extra_repr(self) -> str:
        """Whether it is approximated."""
        return f"approximate={self.approximate!r}"


class Softmax(Module):
    """Shares that add up to one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The shares."""
        return input.softmax(self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """Logarithms of shares that add up to one."""

    def forward(self, input: Tensor) -> Tensor:
        """The logarithms."""
        return input.log_softmax(self.dim)


class Dropout(Module):
    """In training some numbers become 0."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; the rest grows so that the mean stays."""
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Flatten(Module):
    """Axes made into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Flatten."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis made into several."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """Unflatten."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The axis and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class MaxPool2d(Module):
    """The largest number of each field of an image."""

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor) -> Tensor:
        """Pool."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        """The field."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            "dilation=1, ceil_mode=False"
        )


class AvgPool2d(MaxPool2d):
    """The mean of each field of an image."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool."""
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        """The field."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """The mean of each image, where the output has size 1."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Pool."""
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        """The size of the output."""
        return f"output_size={self.output_size}"


class CrossEntropyLoss(Module):
    """Minus the logarithm of the probability of the right class."""

    def __init__(
        self, weight: Tensor | None = None, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.weight, self.reduction, self.label_smoothing = weight, reduction, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        smooth = self.label_smoothing
        return F.cross_entropy(input, target, self.weight, self.reduction, label_smoothing=smooth)


class NLLLoss(Module):
    """The same from logarithms of probabilities."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.nll_loss(input, target, reduction=self.reduction)


class MSELoss(NLLLoss):
    """Squared differences."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.mse_loss(input, target, reduction=self.reduction)
