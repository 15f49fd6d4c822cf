"""Which modules are normalization layers, and of which kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase, _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

__all__ = ["Layer", "has_statistics", "layers_of", "wrapped"]

_WRAPPERS = {  # by the name of the class: importing them all takes seconds
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}
_KINDS = (
    (_BatchNorm, "batch"),
    (_InstanceNorm, "instance"),
    (nn.GroupNorm, "group"),
    (nn.LayerNorm, "layer"),
    (nn.RMSNorm, "rms"),
)


@dataclass(frozen=True)
class Layer:
    """A normalization layer: its names in the model (a shared one has several) and its module."""

    names: tuple[str, ...]
    module: nn.Module
    kind: str

    @property
    def name(self) -> str:
        """The first of its names; that of a model which is a layer is its class."""
        return self.names[0] or type(self.module).__name__

    @property
    def is_batch(self) -> bool:
        """Whether it is a batch normalization, synchronized and lazy ones included."""
        return self.kind == "batch"

    @property
    def made(self) -> bool:
        """Whether its tensors exist; a lazy layer has none before its first batch."""
        tensors = (*self.module._parameters.values(), *self.module._buffers.values())
        return not any(is_lazy(t) for t in tensors if t is not None)

    @property
    def statistics(self) -> tuple[Tensor, Tensor] | None:
        """Running mean and variance, in float64 on the CPU, if it keeps any."""
        if not has_statistics(self.module) or not self.made:
            return None
        both = self.module.running_mean, self.module.running_var
        return tuple(t.detach().to("cpu", torch.float64) for t in both)

    @property
    def counted(self) -> int | None:
        """How many batches it has seen; None where it does not count."""
        count = getattr(self.module, "num_batches_tracked", None)
        return int(count) if isinstance(count, Tensor) and not is_lazy(count) else None

    def affine(self, name: str) -> Tensor | None:
        """Gamma (``"weight"``) or beta (``"bias"``) in float64 on the CPU, if it has one."""
        value = getattr(self.module, name, None)
        if not isinstance(value, Tensor) or is_lazy(value):
            return None
        return value.detach().to("cpu", torch.float64)


def has_statistics(module: nn.Module) -> bool:
    """Whether a module has a running mean and variance, as PyTorch's layers name them."""
    names = ("running_mean", "running_var")
    return all(isinstance(getattr(module, name, None), Tensor) for name in names)


def layers_of(model: nn.Module) -> list[Layer]:
    """Every normalization layer once, in the model's order; home-made ones by their statistics."""
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    layers = [Layer(tuple(names[m]), m, kind) for m in names if (kind := _kind(m))]
    return layers


def _kind(module: nn.Module) -> str | None:
    for base, kind in _KINDS:
        if isinstance(module, base):
            return kind
    if isinstance(module, _LazyNormBase | _NormBase):
        return "batch"
    return "home-made" if has_statistics(module) and hasattr(module, "eps") else None


def wrapped(model: nn.Module) -> nn.Module:
    """The model within its wrappers for devices, averages and compilation."""
    while (inner := _WRAPPERS.get(type(model).__name__)) and hasattr(model, inner):
        model = getattr(model, inner)
    return model
