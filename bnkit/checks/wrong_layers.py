"""A right layer in pieces, and a way to spoil one of them: what the catalogue compares with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Base", "but", "undetached", "without_buffers"]


class Base(nn.Module):
    """Batch normalization, each step a method.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance.
        momentum: Weight of the new value.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.prepare()

    def prepare(self) -> None:
        """Nothing more to make."""

    def axes(self, x: Tensor) -> tuple[int, ...]:
        """Over which the statistics are taken."""
        return (0, *range(2, x.dim()))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """To normalize with in training."""
        return x.mean(self.axes(x)), x.var(self.axes(x), unbiased=False)

    def new_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For the running statistics to move to."""
        return x.mean(self.axes(x)), x.var(self.axes(x))

    def share(self) -> float:
        """Weight of the new values."""
        return self.momentum

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Move the running statistics."""
        mean, var = self.new_values(x)
        self.running_mean += self.share() * (mean - self.running_mean)
        self.running_var += self.share() * (var - self.running_var)
        self.count()

    def count(self) -> None:
        """One batch more."""
        self.num_batches_tracked += 1

    def divisor(self, var: Tensor) -> Tensor:
        """What the centred values are divided by."""
        return torch.sqrt(var + self.eps)

    def affine(self, x_hat: Tensor, view: tuple[int, ...]) -> Tensor:
        """Scale and shift."""
        return self.weight.view(view) * x_hat + self.bias.view(view)

    def normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """All four steps but the statistics; those of shape (C,) are lined up with axis 1."""
        view = (1, -1, *[1] * (x.dim() - 2))
        mean, var = (s.view(view) if s.dim() == 1 else s for s in (mean, var))
        return self.affine((x - mean) / self.divisor(var), view)

    def evaluate(self, x: Tensor) -> Tensor:
        """In evaluation mode."""
        return self.normalize(x, self.running_mean, self.running_var)

    def train_on(self, x: Tensor) -> Tensor:
        """In training mode."""
        mean, var = self.statistics(x)
        self.update(x)
        return self.normalize(x, mean, var)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize, by the mode."""
        return self.train_on(x) if self.training else self.evaluate(x)


def but(**methods: Callable) -> type[Base]:
    """The right layer with other methods in place of its own."""
    return type("WrongLayer", (Base,), methods)


def without_buffers(*names: str, wrap: Callable[[Tensor], object] = lambda tensor: tensor) -> type:
    """The right layer with some of its buffers or parameters kept in another way.

    Args:
        names: Of buffers or parameters.
        wrap: What is kept in place of the tensor.

    Returns:
        The layer.
    """

    def prepare(self: Base) -> None:
        for name in names:
            tensor = getattr(self, name).detach()
            delattr(self, name)
            setattr(self, name, wrap(tensor))

    return but(prepare=prepare)


def undetached(self: Base, x: Tensor) -> None:
    """An update that autograd records."""
    mean, var = self.new_values(x)
    self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
    self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
    self.count()
