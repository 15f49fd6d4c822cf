"""Starting values."""

from __future__ import annotations

import math

from ..autograd.modes import no_grad
from ..linalg import eigh
from ..tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_",
    "ones_", "orthogonal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity asks for larger weights."""
    slope = 0.01 if param is None else param
    gains = {"relu": math.sqrt(2), "tanh": 5 / 3, "selu": 0.75}
    gains["leaky_relu"] = math.sqrt(2 / (1 + slope**2))
    return gains.get(nonlinearity, 1.0)


def _fans(tensor: Tensor) -> tuple[int, int]:
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """All 0."""
    return tensor.zero_()


@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return tensor.fill_(1)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """All one number."""
    return tensor.fill_(val)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, **options: object) -> Tensor:
    """Of the normal distribution."""
    return tensor.normal_(mean, std, **options)


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, **options: object) -> Tensor:
    """Between two bounds."""
    return tensor.uniform_(a, b, **options)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal."""
    from ..creation import eye

    return tensor.copy_(eye(*tensor.shape))


@no_grad()
def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    **options: object,
) -> Tensor:  # fmt: skip
    """He's, between two bounds."""
    fan = _fans(tensor)[mode != "fan_in"]
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(fan)
    return tensor.uniform_(-bound, bound, **options)


@no_grad()
def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    **options: object,
) -> Tensor:  # fmt: skip
    """He's, of the normal distribution."""
    fan = _fans(tensor)[mode != "fan_in"]
    return tensor.normal_(0, calculate_gain(nonlinearity, a) / math.sqrt(fan), **options)


@no_grad()
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, **options: object) -> Tensor:
    """Glorot's, between two bounds."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_fans(tensor)))
    return tensor.uniform_(-bound, bound, **options)


@no_grad()
def xavier_normal_(tensor: Tensor, gain: float = 1.0, **options: object) -> Tensor:
    """Glorot's, of the normal distribution."""
    return tensor.normal_(0, gain * math.sqrt(2.0 / sum(_fans(tensor))), **options)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1) -> Tensor:
    """A random rotation; which one differs from PyTorch's."""
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    x = tensor.new_zeros(rows, columns).normal_()
    small = x @ x.T if rows <= columns else x.T @ x
    values, vectors = eigh(small.double())
    root = (vectors * values.rsqrt() @ vectors.T).to(x.dtype)
    return tensor.copy_((root @ x if rows <= columns else x @ root).view_as(tensor) * gain)
