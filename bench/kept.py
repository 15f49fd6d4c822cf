"""Weigh what a layer keeps from its forward pass for the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.norms import GOALS
from bnkit import layers

KEPT_GOALS = {(64, 32, 28, 28): 1.05}  # of bnkit / PyTorch: where the input is large


def measure() -> list[dict]:
    """Rows with shape, goal and the bytes that PyTorch's layer and bnkit's keep."""
    return [row_of(shape) for shape in GOALS]


def row_of(shape: tuple[int, ...]) -> dict:
    name = "BatchNorm1d" if len(shape) == 2 else "BatchNorm2d"
    x = torch.zeros(shape).requires_grad_()
    kept = {kind: kept_by(getattr(home, name)(shape[1]), x) for kind, home in HOMES.items()}
    return {"shape": list(shape), "goal": KEPT_GOALS.get(shape), "bytes": kept}


HOMES = {"torch": nn, "bnkit": layers}


def kept_by(layer: nn.Module, x: Tensor) -> int:
    """Bytes of all storages that autograd holds, the input's among them, each counted once."""
    held = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = layer(x)  # alive while it is weighed, or its storage might be counted anew
    return sum(held.values()) if output.requires_grad else 0
