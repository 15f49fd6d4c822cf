"""Where a training runs: on which device, and in how many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "Batch",
    "LossFunction",
    "Modes",
    "Processes",
    "device_of",
    "length_of",
    "modes_of",
    "move",
    "pair_of",
    "set_modes",
]

Batch = tuple[Tensor, Tensor]
LossFunction = Callable[[Tensor, Tensor], Tensor]
Modes = dict[nn.Module, bool]  # training or not


def device_of(model: nn.Module) -> torch.device:
    """Say where a model's first parameter is; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def move(model: nn.Module, device: str | torch.device = "auto") -> None:
    """Move a model, in place; ``"auto"`` is to CUDA if there is any."""
    home = device_of(model)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else home
    if torch.device(device) != home:
        model.to(device)


def length_of(loader: Iterable[Batch]) -> int | None:
    """Number of batches; None where a loader cannot tell, as over an ``IterableDataset``."""
    try:
        return len(loader)
    except Exception:  # whatever a loader says that does not know
        return None


def pair_of(batch: object) -> Batch:
    """A loader's batch, if it is one of (input, target); else a ValueError."""
    is_pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    if is_pair and all(isinstance(part, Tensor) for part in batch):
        return batch
    parts = batch.items() if isinstance(batch, dict) else ()
    got = ", ".join(f"{key}: {type(part).__name__}" for key, part in parts)
    if isinstance(batch, (tuple, list)):
        got = ", ".join(type(part).__name__ for part in batch)
    raise ValueError(
        f"expected batches of two tensors (input, target), got {type(batch).__name__} of ({got})"
    )


def modes_of(model: nn.Module) -> Modes:
    """Remember which modules train and which evaluate; layers may be frozen in evaluation mode."""
    return {module: module.training for module in model.modules()}


def set_modes(modes: Modes) -> None:
    """Give modules their modes back."""
    for module, training in modes.items():
        module.training = training


class Processes:
    """What a training asks of its processes, answered by one that is alone.

    `bnkit.distributed.Replicas` gives the answers of several, and tells what they mean there.
    """

    rank = 0
    world_size = 1
    device: str | torch.device = "auto"

    def align(self, model: nn.Module) -> None:
        """Give every process the weights and statistics of rank 0."""

    def batches(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """Iterate as often as the process with the most batches."""
        return iter(loader)

    def backward(self, model: nn.Module, loss_fn: LossFunction, x: Tensor, y: Tensor) -> Tensor:
        """Differentiate the mean loss over the samples of all; return this process's."""
        loss = loss_fn(model(x), y)
        loss.backward()
        return loss.detach()

    def sum(self, values: Iterable[float], device: str | torch.device) -> list[float]:
        """Add numbers over the processes."""
        return list(values)

    def gather(self, value: Any) -> list[Any]:
        """Collect a value of every process."""
        return [value]

    def interruptible(self) -> AbstractContextManager[None]:
        """Let an interrupt from the keyboard end all processes in the same step."""
        return nullcontext()
