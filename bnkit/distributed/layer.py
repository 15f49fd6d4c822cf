"""The layer over several processes, and the conversion of a model to it."""

from __future__ import annotations

import copy

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as TorchBatchNorm

from bnkit.distributed.collectives import group_size
from bnkit.distributed.function import sync_batch_norm
from bnkit.layers import BatchNorm

__all__ = ["SyncBatchNorm", "convert_sync_batchnorm"]


class SyncBatchNorm(BatchNorm):
    """Batch normalization of (N, C, *) over the batches of all processes.

    A drop-in for `BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d`, with their keys in `state_dict`.
    Training normalizes with the statistics of all processes, each weighted by its count, and moves
    the running ones alike everywhere; every process has to make the call, with any number of
    examples, none included. Evaluation uses the running statistics and does not communicate. One
    process, or no process group, behaves like `BatchNorm`. See
    :func:`bnkit.distributed.sync_batch_norm`.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance under the square root.
        momentum: Weight of the *new* value in the running statistics (Keras and ONNX: of the
            old one); None averages all batches alike.
        affine: Learn `weight` (gamma) and `bias` (beta), both of shape (C,). Their gradients are
            those of this process's shard; `DistributedDataParallel` combines them.
        track_running_stats: Keep running statistics; without them evaluation uses those of this
            process's batch, as PyTorch does.
        process_group: Who takes part; None means all processes.
        device: Where parameters and buffers live.
        dtype: Their dtype; float32 also serves float16 and bfloat16 inputs.
        bias: False leaves beta out.

    Raises:
        ValueError: In `forward`: inputs that differ between the processes, naming the rank.

    Example:
        >>> import torch
        >>> layer = SyncBatchNorm(2)  # one process: as BatchNorm1d
        >>> y = layer(torch.tensor([[1.0, 10.0], [3.0, 50.0]]))
        >>> layer.running_mean, layer.running_var
        (tensor([0.2000, 3.0000]), tensor([ 1.1000, 80.9000]))

    Source: ``torch.nn.SyncBatchNorm``, which refuses tensors on the CPU.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: dist.ProcessGroup | None = None,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def forward(self, input: Tensor) -> Tensor:
        """Normalize a shard; in training also move the running statistics."""
        if not self.training or group_size(self.process_group) == 1:
            return super().forward(input)
        track = self.track_running_stats
        output = sync_batch_norm(
            input,
            self.running_mean if track else None,
            self.running_var if track else None,
            self.weight,
            self.bias,
            momentum=self._new_value_weight() if track else 0.0,
            eps=self.eps,
            process_group=self.process_group,
        )
        if track and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return output

    def _check_input_dim(self, input):
        if input.dim() < 2:
            raise ValueError(
                f"SyncBatchNorm expected input (N, {self.num_features}, *), "
                f"got {input.dim()}D of shape {tuple(input.shape)}"
            )

    def __deepcopy__(self, memo: dict) -> SyncBatchNorm:
        """Copy all but the process group, which cannot be copied: both use the same one."""
        memo[id(self.process_group)] = self.process_group
        memo[id(self)] = twin = type(self).__new__(type(self))
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin


def convert_sync_batchnorm(
    model: nn.Module, process_group: dist.ProcessGroup | None = None
) -> nn.Module:
    """Replace every batch normalization in a model by :class:`SyncBatchNorm`.

    PyTorch's layers and bnkit's are found, at any depth. The new layers take over the very same
    parameters and buffers, so that an optimizer made before still moves them, and the mode. A
    layer used in two places stays one layer. Hooks are not taken over.

    Args:
        model: Changed in place, unless it is itself a batch normalization.
        process_group: For the new layers; None means all processes.

    Returns:
        The model, or the new layer where `model` itself was one.

    Raises:
        ValueError: A lazy layer that does not know its number of channels yet.

    Example:
        >>> model = convert_sync_batchnorm(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)))
        >>> type(model[1]).__name__, model[1].num_features
        ('SyncBatchNorm', 2)

    Source: ``torch.nn.SyncBatchNorm.convert_sync_batchnorm``.
    """
    return _converted(model, process_group, {})


def _converted(module, process_group, done):
    if module in done:
        return done[module]
    done[module] = module
    if isinstance(module, (TorchBatchNorm, BatchNorm)):
        done[module] = _twin(module, process_group)
    else:
        for name, child in module._modules.items():  # named_children skips repeated ones
            if child is not None:
                module._modules[name] = _converted(child, process_group, done)
    return done[module]


def _twin(module, process_group):
    if isinstance(module.weight, nn.parameter.UninitializedTensorMixin):
        raise ValueError(f"expected known channels, got {module}: pass it a batch first")
    tracks = module.track_running_stats
    arguments = module.num_features, module.eps, module.momentum, module.affine, tracks
    twin = SyncBatchNorm(*arguments, process_group, device="meta")
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(twin, name, getattr(module, name))
    return twin.train(module.training)
