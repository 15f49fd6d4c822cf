"""Layers, by PyTorch's names."""

from . import functional, init, modules, parameter, utils
from .modules import *  # noqa: F403
from .modules import __all__ as _layers
from .parameter import Buffer, Parameter

__all__ = ["Buffer", "Parameter", "functional", "init", "modules", "parameter", "utils", *_layers]


def __getattr__(name: str) -> object:
    from ..lacking import missing

    if name.startswith("__"):
        raise AttributeError(name)
    if not name[:1].isupper():
        from ..lacking import _State

        if not _State.loading:
            raise AttributeError(f"module 'torch.nn' has no attribute {name!r}")
    return missing(f"torch.nn.{name}")
