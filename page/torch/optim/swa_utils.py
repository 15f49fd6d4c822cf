"""Running statistics estimated anew."""

from __future__ import annotations

from collections.abc import Iterable

from ..autograd.modes import no_grad
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module

__all__ = ["update_bn"]


@no_grad()
def update_bn(loader: Iterable, model: Module, device: object = None) -> None:
    """Let the statistics of every batch normalization be the plain average over the batches."""
    momenta = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not momenta:
        return
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None
    mode = model.training
    model.train()
    for batch in loader:
        model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(mode)
