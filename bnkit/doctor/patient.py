"""What all checks look at: a model, its layers, its graph, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from bnkit.doctor.batches import Batches
from bnkit.doctor.graph import Graph
from bnkit.doctor.kinds import Layer
from bnkit.doctor.measuring import Measured, Record

__all__ = ["Patient"]


@dataclass
class Patient:
    """A model under examination: read by the checks, and changed by none."""

    model: nn.Module
    root: nn.Module  # the model within its wrappers
    layers: list[Layer]
    graph: Graph
    optimizer: torch.optim.Optimizer | None = None
    loss_fn: object = None
    batches: Batches | None = None
    measured: Measured | None = None
    wakes: frozenset[str] = field(default_factory=frozenset)  # layers that `train()` would wake

    @property
    def training(self) -> bool:
        """Whether the model as a whole is in training mode."""
        return self.root.training

    def with_statistics(self) -> Iterator[Layer]:
        """The layers of PyTorch's that keep running statistics, and have some by now."""
        for layer in self.layers:
            if layer.kind in ("batch", "instance") and layer.statistics is not None:
                yield layer

    def batch_layers(self) -> Iterator[Layer]:
        """The batch normalizations."""
        return (layer for layer in self.layers if layer.is_batch)

    def record(self, layer: Layer) -> Record | None:
        """What was measured at a layer; None without a loader, or where no batch came by."""
        return self.measured.records.get(layer.name) if self.measured else None

    def measured_layers(self) -> Iterator[tuple[Layer, Record]]:
        """The layers that a batch came by, with what was measured there."""
        for layer in self.layers:
            record = self.record(layer)
            if record is not None and record.calls:
                yield layer, record
