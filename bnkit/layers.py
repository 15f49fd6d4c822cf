"""Normalization layers: the bookkeeping around `bnkit.functional`.

`BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d` are drop-ins for PyTorch's: same arguments, same
attributes, same keys in `state_dict`, so that weights load both ways.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnkit import functional as F
from bnkit.relatives import AffineModule

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"]


class BatchNorm(AffineModule):
    """What the batch normalizations below, and the synchronized one, have in common."""

    _version = 2  # PyTorch's: since version 2 the state holds num_batches_tracked
    _dims: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_affine((num_features,), affine, affine and bias, device, dtype)
        self._make_running_stats(device, dtype)
        self.reset_parameters()

    def _make_running_stats(self, device, dtype):
        mean = var = count = None
        if self.track_running_stats:
            mean = torch.empty(self.num_features, device=device, dtype=dtype)
            var = torch.empty(self.num_features, device=device, dtype=dtype)
            count = torch.empty((), device=device, dtype=torch.long)
        self.register_buffer("running_mean", mean)
        self.register_buffer("running_var", var)
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Forget every batch: mean 0, variance 1, count 0."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set weight to 1, bias to 0 and forget the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Normalize a batch; in training also move the running statistics."""
        self._check_input_dim(input)
        track = self.training and self.track_running_stats
        known = track or not self.training  # are the running statistics read or written?
        output = F.batch_norm(
            input,
            self.running_mean if known else None,
            self.running_var if known else None,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=self._new_value_weight() if track else 0.0,
            eps=self.eps,
        )
        if track and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return output

    def _new_value_weight(self) -> float:
        if self.momentum is None:  # cumulative average: 1, 1/2, 1/3, ...
            return 1 / (int(self.num_batches_tracked) + 1)
        return self.momentum

    def _check_input_dim(self, input):
        if input.dim() not in self._dims:
            dims = " or ".join(f"{d}D" for d in self._dims)
            raise ValueError(
                f"{type(self).__name__} expected {dims} input (N, {self.num_features}, ...), "
                f"got {input.dim()}D of shape {tuple(input.shape)}"
            )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        key = prefix + "num_batches_tracked"
        old = local_metadata.get("version") is None or local_metadata["version"] < 2
        if old and self.track_running_stats and key not in state_dict:
            state_dict[key] = torch.tensor(0)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        """Show the arguments in `repr`, as PyTorch does."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    r"""Batch normalization of (N, C) or (N, C, L), a drop-in for `torch.nn.BatchNorm1d`.

    Training normalizes with the batch's statistics and moves the running ones; evaluation
    normalizes with the running ones. See :func:`bnkit.functional.batch_norm`.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance under the square root.
        momentum: Weight of the *new* value in the running statistics (Keras and ONNX: of the
            old one); None averages all batches alike.
        affine: Learn `weight` (gamma) and `bias` (beta), both of shape (C,).
        track_running_stats: Keep running statistics; without them evaluation, too, uses the
            batch's own.
        device: Where parameters and buffers live.
        dtype: Their dtype; float32 also serves float16 and bfloat16 inputs.
        bias: False leaves beta out.

    Raises:
        ValueError: In `forward`, for input of another number of axes, or in training with one
            value per channel.

    Example:
        >>> layer = BatchNorm1d(2)
        >>> y = layer(torch.tensor([[1.0, 10.0], [3.0, 50.0]]))
        >>> layer.running_mean, layer.running_var  # a tenth of the way from 0 and 1
        (tensor([0.2000, 3.0000]), tensor([ 1.1000, 80.9000]))

    Source: Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167; ``torch.nn.BatchNorm1d``.
    """

    _dims = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalization of images (N, C, H, W), a drop-in for `torch.nn.BatchNorm2d`.

    Statistics are taken over N, H and W. Arguments and errors as :class:`BatchNorm1d`.

    Example:
        >>> BatchNorm2d(3)(torch.randn(2, 3, 4, 4)).shape
        torch.Size([2, 3, 4, 4])

    Source: Ioffe and Szegedy (2015), section 3.2; ``torch.nn.BatchNorm2d``.
    """

    _dims = (4,)


class BatchNorm3d(BatchNorm):
    """Batch normalization of volumes (N, C, D, H, W), a drop-in for `torch.nn.BatchNorm3d`.

    Statistics are taken over N, D, H and W. Arguments and errors as :class:`BatchNorm1d`.

    Example:
        >>> BatchNorm3d(3)(torch.randn(2, 3, 4, 4, 4)).shape
        torch.Size([2, 3, 4, 4, 4])

    Source: ``torch.nn.BatchNorm3d``.
    """

    _dims = (5,)
