"""Where a model computes: the one place that picks a device.

Example:
    >>> device_of(nn.Linear(2, 2))
    device(type='cpu')
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["device_of", "move"]


def device_of(model: nn.Module) -> torch.device:
    """Say where a model's parameters are.

    Args:
        model: The model.

    Returns:
        The device of its first parameter; the CPU if it has none.

    Example:
        >>> device_of(nn.Linear(2, 2, device="meta"))
        device(type='meta')
    """
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def move(model: nn.Module, device: str | torch.device = "auto") -> None:
    """Move a model, in place.

    Args:
        model: The model.
        device: Where to; ``"auto"`` is CUDA if there is any, else where the model is.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> move(model, "cpu")
        >>> device_of(model)
        device(type='cpu')
    """
    home = device_of(model)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else home
    if torch.device(device) != home:
        model.to(device)
