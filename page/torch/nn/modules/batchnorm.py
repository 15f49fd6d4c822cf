"""Batch normalization, and instance normalization, which shares its state."""

from __future__ import annotations

from ...creation import ones, tensor, zeros
from ...dtypes import dtype
from ...lacking import lacks
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d",
    "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "SyncBatchNorm",
]  # fmt: skip


class _NormBase(Module):
    """Gamma, beta, and running statistics."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, device: object = None,
        dtype: dtype | None = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, learned in (("weight", affine), ("bias", affine and bias)):
            value = Parameter(zeros(num_features, dtype=dtype)) if learned else None
            self.register_parameter(name, value)
        kept = {
            "running_mean": zeros(num_features, dtype=dtype),
            "running_var": ones(num_features, dtype=dtype),
            "num_batches_tracked": tensor(0),
        }
        for name, value in kept.items():
            self.register_buffer(name, value if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what was seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forget what was seen and learned."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        dims = self._dims
        if input.dim() not in dims:
            expected = " or ".join(f"{d}D" for d in dims)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def extra_repr(self) -> str:
        """Sizes and settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    """The forward pass of all three."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalize; in training also move the running statistics."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        known = not self.training or self.track_running_stats
        return F.batch_norm(
            input, self.running_mean if known else None, self.running_var if known else None,
            self.weight, self.bias, by_batch, momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Of (N, C) or (N, C, L)."""

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Of (N, C, H, W)."""

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Of (N, C, D, H, W)."""

    _dims = (5,)


class _InstanceNorm(_NormBase):
    """Each channel of each sample by itself."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: object = None, dtype: dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def _handle_no_batch_input(self, input: Tensor) -> Tensor:
        return self._apply_instance_norm(input.unsqueeze(0)).squeeze(0)

    def _get_no_batch_dim(self) -> int:
        return self._dims[0]

    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        own = self.training or not self.track_running_stats
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, own,
            self.momentum or 0.0, self.eps,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """Normalize."""
        self._check_input_dim(input)
        if input.dim() == self._get_no_batch_dim():
            return self._handle_no_batch_input(input)
        return self._apply_instance_norm(input)


class InstanceNorm1d(_InstanceNorm):
    """Of (N, C, L)."""

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Of (N, C, H, W)."""

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Of (N, C, D, H, W)."""

    _dims = (4, 5)


class _Lazy:
    """A layer that PyTorch alone has."""

    def __init__(self, *args: object, **options: object) -> None:
        raise lacks(f"nn.{type(self).__name__}")


class LazyBatchNorm1d(_Lazy, BatchNorm1d):
    """Not here."""


class LazyBatchNorm2d(_Lazy, BatchNorm2d):
    """Not here."""


class LazyBatchNorm3d(_Lazy, BatchNorm3d):
    """Not here."""


class LazyInstanceNorm1d(_Lazy, InstanceNorm1d):
    """Not here."""


class LazyInstanceNorm2d(_Lazy, InstanceNorm2d):
    """Not here."""


class LazyInstanceNorm3d(_Lazy, InstanceNorm3d):
    """Not here."""


class SyncBatchNorm(_Lazy, _BatchNorm):
    """Not here."""
