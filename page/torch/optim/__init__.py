"""Optimizers."""

from . import lr_scheduler, swa_utils
from .optimizer import SGD, Adam, AdamW, Optimizer

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler", "swa_utils"]


def __getattr__(name: str) -> object:
    from ..lacking import missing

    if name.startswith("__"):
        raise AttributeError(name)
    return missing(f"torch.optim.{name}")
