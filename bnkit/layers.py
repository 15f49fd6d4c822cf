"""Batch normalization layers: PyTorch's, with the arithmetic of `bnkit.functional`.

Ours is what happens to a batch: `forward`, from the refusals to the running statistics. Inherited
is the bookkeeping, which chapter 5 builds by hand: arguments, attributes, `state_dict` and its
versions, `reset_parameters`, `repr`. So weights load both ways, ``isinstance(layer,
torch.nn.BatchNorm2d)`` is True, and all that PyTorch does to its own layers (averaging weights,
freezing, folding, converting) it does to these.

Limits, each with its reason:

- ``torch.jit.script`` compiles no autograd function of Python: what is scripted has PyTorch's
  arithmetic on the same state. Synchronized layers it refuses, as it does PyTorch's.
- Inside of ``torch.func``'s transforms no running statistics can move, PyTorch's neither:
  ``torch.func.replace_all_batch_norm_modules_`` stops them.
- ``torch.fx.symbolic_trace`` takes a layer within a module for one step, but cannot trace a layer
  by itself; PyTorch's batch norms it cannot trace by themselves either.
- ``isinstance(layer, torch.nn.SyncBatchNorm)`` is False for the synchronized layer, since
  ``DistributedDataParallel`` refuses such layers on the CPU. Derivatives pass through it in every
  way but ``is_grads_batched``, which has no rule for messages: use ``torch.func.vmap``.
- ``torch.ao.quantization.fuse_modules`` and ``torch.fx.experimental.optimization.fuse`` look for
  PyTorch's very classes and find none here; `bnkit.functional.fold_batch_norm` folds both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from torch import Tensor, nn
from torch.fx import Proxy

from bnkit.functional import Reduce, normalize
from bnkit.shapes import check_batch_norm

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
]


def leaf(forward: Callable[[nn.Module, Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    """Let torch.fx take the layer as one step, as it takes PyTorch's, and not look inside."""

    @wraps(forward)
    def forward_or_step(self: nn.Module, input: Tensor) -> Tensor:
        if isinstance(input, Proxy):
            path = input.tracer.path_of_module(self)
            return input.tracer.create_proxy("call_module", path, (input,), {})
        return forward(self, input)

    # torch.compile counts recompilations by code, of which all layers would share this one
    forward_or_step.__code__ = forward_or_step.__code__.replace(co_name=forward.__name__)
    return forward_or_step


class DropIn:
    """What a layer of bnkit's needs, where PyTorch's tools know their own layers by heart."""

    def __prepare_scriptable__(self) -> nn.Module:
        """Give `torch.jit.script`, which compiles no autograd function, PyTorch's arithmetic."""
        if not type(self).__module__.startswith("bnkit."):
            return self
        kind = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("torch."))
        twin = kind.__new__(kind)
        twin.__dict__ = self.__dict__
        return twin


class OwnForward(DropIn):
    """The arithmetic, to stand before a batch normalization of PyTorch's among the base classes."""

    _dims: tuple[int, ...] = ()  # of the input; empty means 2 or more

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        """Normalize a batch; in training also move the running statistics."""
        self._check_input_dim(input)
        weight, bias, count = self.weight, self.bias, self.num_batches_tracked
        track = self.training and self.track_running_stats
        known = track or not self.training  # are the running statistics read or written?
        mean, var = (self.running_mean, self.running_var) if known else (None, None)
        training = self.training or (mean is None and var is None)
        total, reduce = self._agree(input, mean, var, weight, bias, training=training)
        momentum = 0.0
        if track:  # the count moves before the statistics: both again, if a forward is repeated
            momentum = self._weight_of_new(count.add_(1)) if count is not None else self.momentum
        arguments = training, momentum or 0.0, self.eps, total, reduce
        return normalize(input, mean, var, weight, bias, *arguments)

    def _agree(
        self, *tensors: Tensor | None, training: bool
    ) -> tuple[int | Tensor | None, Reduce | None]:
        """Refuse what cannot be normalized; else say what `normalize` has to know of shards."""
        check_batch_norm(*tensors, training, self.eps)
        return None, None

    def _weight_of_new(self, count: Tensor) -> float:
        """`momentum`, or where it is None the weight of a cumulative average: 1, 1/2, 1/3, ..."""
        return 1 / int(count) if self.momentum is None else self.momentum

    def _check_input_dim(self, input: Tensor) -> None:
        dims = input.dim()
        if dims in self._dims or (not self._dims and dims >= 2):
            return
        expected = " or ".join(f"{d}D" for d in self._dims) or "2D or more"
        raise ValueError(
            f"{type(self).__name__} expected {expected} input (N, {self.num_features}, ...), "
            f"got {dims}D of shape {tuple(input.shape)}"
        )


class BatchNorm1d(OwnForward, nn.BatchNorm1d):
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
        >>> import torch
        >>> layer = BatchNorm1d(2)
        >>> y = layer(torch.tensor([[1.0, 10.0], [3.0, 50.0]]))
        >>> layer.running_mean, layer.running_var  # a tenth of the way from 0 and 1
        (tensor([0.2000, 3.0000]), tensor([ 1.1000, 80.9000]))

    Source: Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167; ``torch.nn.BatchNorm1d``.
    """

    _dims = (2, 3)


class BatchNorm2d(OwnForward, nn.BatchNorm2d):
    """Batch normalization of images (N, C, H, W), a drop-in for `torch.nn.BatchNorm2d`.

    Statistics are taken over N, H and W. Arguments and errors as :class:`BatchNorm1d`.

    Example:
        >>> import torch
        >>> BatchNorm2d(3)(torch.randn(2, 3, 4, 4)).shape
        torch.Size([2, 3, 4, 4])

    Source: Ioffe and Szegedy (2015), section 3.2; ``torch.nn.BatchNorm2d``.
    """

    _dims = (4,)


class BatchNorm3d(OwnForward, nn.BatchNorm3d):
    """Batch normalization of volumes (N, C, D, H, W), a drop-in for `torch.nn.BatchNorm3d`.

    Statistics are taken over N, D, H and W. Arguments and errors as :class:`BatchNorm1d`.

    Example:
        >>> import torch
        >>> BatchNorm3d(3)(torch.randn(2, 3, 4, 4, 4)).shape
        torch.Size([2, 3, 4, 4, 4])

    Source: ``torch.nn.BatchNorm3d``.
    """

    _dims = (5,)


class LazyBatchNorm1d(OwnForward, nn.LazyBatchNorm1d):
    """A `BatchNorm1d` that takes its number of channels from its first batch.

    Example:
        >>> import torch
        >>> layer = LazyBatchNorm1d()
        >>> y = layer(torch.randn(8, 3))
        >>> type(layer).__name__, layer.num_features
        ('BatchNorm1d', 3)

    Source: ``torch.nn.LazyBatchNorm1d``.
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(OwnForward, nn.LazyBatchNorm2d):
    """A `BatchNorm2d` that takes its number of channels from its first batch.

    Example:
        >>> import torch
        >>> layer = LazyBatchNorm2d()
        >>> y = layer(torch.randn(8, 3, 4, 4))
        >>> type(layer).__name__, layer.num_features
        ('BatchNorm2d', 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(OwnForward, nn.LazyBatchNorm3d):
    """A `BatchNorm3d` that takes its number of channels from its first batch.

    Example:
        >>> import torch
        >>> layer = LazyBatchNorm3d()
        >>> y = layer(torch.randn(8, 3, 4, 4, 4))
        >>> type(layer).__name__, layer.num_features
        ('BatchNorm3d', 3)
    """

    cls_to_become = BatchNorm3d
