"""The layer over several processes, and the conversion of a model to it."""

from __future__ import annotations

import copy
from functools import cache

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as TorchBatchNorm

from bnkit import layers
from bnkit.distributed.function import agree, over
from bnkit.functional import Reduce

__all__ = ["SyncBatchNorm", "convert_sync_batchnorm"]


class SyncBatchNorm(layers.OwnForward, TorchBatchNorm):
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

    _agreed: tuple[int, ...] | None = None  # the kind of input that the processes last agreed on

    def __init__(
        self,
        num_features: int,
        *args: object,
        process_group: dist.ProcessGroup | None = None,
        **options: object,
    ) -> None:
        # Not nn.SyncBatchNorm's subclass: DistributedDataParallel refuses those on the CPU.
        super().__init__(num_features, *args, **options)
        self.process_group = process_group

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"SyncBatchNorm expected 2D or more (N, C, *), got {x.dim()}D")

    def _agree(
        self, *tensors: Tensor | None, training: bool
    ) -> tuple[int | Tensor | None, Reduce | None]:
        if not self.training:  # without running statistics, too, as PyTorch does
            return super()._agree(*tensors, training=training)
        total, self._agreed = agree(*tensors, self.eps, self.process_group, self._agreed)
        return total, over(self.process_group)

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
    parameters, buffers and hooks, so that an optimizer made before still moves them, and the mode.
    A layer used in two places stays one layer. A subclass keeps all that it adds, in a class that
    synchronizes its statistics. A layer that is synchronized already keeps its own group.

    Args:
        model: Changed in place, unless it is itself a batch normalization.
        process_group: For the new layers; None means all processes.

    Returns:
        The model, or the new layer where `model` itself was one.

    Raises:
        ValueError: A lazy layer that does not know its number of channels yet, or a subclass whose
            own `forward` leaves no place to synchronize.

    Example:
        >>> model = convert_sync_batchnorm(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)))
        >>> type(model[1]).__name__, model[1].num_features
        ('SyncBatchNorm', 2)

    Source: ``torch.nn.SyncBatchNorm.convert_sync_batchnorm``.
    """
    return _converted(model, process_group, {})


def _converted(
    module: nn.Module, process_group: dist.ProcessGroup | None, done: dict[nn.Module, nn.Module]
) -> nn.Module:
    if module in done:
        return done[module]
    done[module] = module
    if isinstance(module, TorchBatchNorm) and not isinstance(module, SyncBatchNorm):
        done[module] = _twin(module, process_group)
    else:
        for name, child in module._modules.items():  # named_children skips repeated ones
            if child is not None:
                module._modules[name] = _converted(child, process_group, done)
    return done[module]


def _twin(module: nn.Module, process_group: dist.ProcessGroup | None) -> SyncBatchNorm:
    """A layer of a synchronized class that holds all that `module` holds."""
    if isinstance(module.weight, nn.parameter.UninitializedTensorMixin):
        raise ValueError(f"expected known channels, got {module}: pass it a batch first")
    if "forward" in vars(module):
        raise ValueError(f"expected no forward of its own, got {module} with one")
    twin = SyncBatchNorm.__new__(_synchronized(type(module)))
    twin.__dict__ = copy.copy(module.__dict__)
    for registered in ("_parameters", "_buffers", "_modules"):
        twin.__dict__[registered] = copy.copy(module.__dict__[registered])
    twin.__dict__.setdefault("process_group", process_group)
    return twin


@cache
def _synchronized(kind: type[nn.Module]) -> type[SyncBatchNorm]:
    """`SyncBatchNorm`, or for a class that adds to a batch norm one that synchronizes it."""
    if kind.__module__ in (nn.BatchNorm1d.__module__, layers.__name__):
        return SyncBatchNorm
    for base in kind.__mro__:
        if base in (TorchBatchNorm, nn.SyncBatchNorm, layers.OwnForward):
            break
        names = base.forward.__code__.co_names if "forward" in vars(base) else ["super"]
        if "super" not in names:
            raise ValueError(f"expected a forward that calls super's, got {base.__name__}.forward")
    ours = _Between if issubclass(kind, nn.SyncBatchNorm) else SyncBatchNorm
    methods = {"__reduce__": lambda layer: (_unpickled, (kind, layer.__dict__))}
    return type(f"Sync{kind.__name__}", (kind, ours), methods)


def _unpickled(kind: type[nn.Module], state: dict) -> SyncBatchNorm:
    """A layer of a class that no module holds: it is made again from what it was made of."""
    twin = SyncBatchNorm.__new__(_synchronized(kind))
    twin.__dict__.update(state)
    return twin


class _Between(SyncBatchNorm, nn.SyncBatchNorm):
    """Stands between PyTorch's synchronized layer and a class that adds to it."""
