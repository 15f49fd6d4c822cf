"""A few batches of a loader, and what the loader says of the rest."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader

__all__ = ["BATCHES", "Batch", "Batches", "read_batches", "shares"]

BATCHES = 4  # enough to tell a wrong statistic from a noisy one
Batch = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Batches:
    """The first batches of a loader, and the size of its last one where it can be told."""

    batches: list[Batch]
    last: int | None

    @property
    def sizes(self) -> list[int]:
        """Examples in each batch that was read."""
        return [len(x) for x, _ in self.batches]

    @property
    def smallest(self) -> int:
        """Examples in the smallest batch that was read, but for a short last one."""
        return min(self.sizes[:-1] or self.sizes)

    @property
    def classes(self) -> list[Tensor]:
        """The labels of each batch, where they are whole numbers, one an example."""
        labels = [y for _, y in self.batches]
        whole = all(_is_classes(y) for y in labels)
        return labels if whole and labels else []


def read_batches(loader: Iterable[object]) -> Batches:
    """Read the first few batches; a loader that can be read only once is refused."""
    if not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__"):
        raise ValueError(f"expected a loader of batches, got {type(loader).__name__}")
    if iter_is_itself(loader):
        raise ValueError(
            f"expected a loader that can be read again, got {type(loader).__name__}, an iterator "
            "that examining would use up"
        )
    batches = [_pair(batch) for batch in islice(iter(_own(loader)), BATCHES)]
    if not batches:
        raise ValueError("expected a loader with at least one batch, got an empty one")
    return Batches(batches, _last_size(loader))


def iter_is_itself(loader: object) -> bool:
    """Whether a loader is an iterator, so that its batches are gone once read."""
    return hasattr(type(loader), "__next__")


def _own(loader: Iterable[object]) -> Iterable[object]:
    """The loader, or a twin where persistent workers would start anew for whoever holds it."""
    if isinstance(loader, DataLoader) and loader._iterator is not None:
        loader = copy.copy(loader)
        loader._iterator = None
    return loader


def _pair(batch: object) -> Batch:
    if isinstance(batch, Tensor):
        return batch, None
    is_pair = isinstance(batch, tuple | list) and 1 <= len(batch) <= 2
    if is_pair and all(isinstance(part, Tensor) for part in batch):
        return batch[0], batch[1] if len(batch) == 2 else None
    parts = batch if isinstance(batch, tuple | list) else ()
    got = f"{type(batch).__name__} of ({', '.join(type(part).__name__ for part in parts)})"
    raise ValueError(f"expected batches of a tensor or of (input, target), got {got}")


def _is_classes(labels: Tensor | None) -> bool:
    return labels is not None and labels.dim() == 1 and not labels.is_floating_point()


def _last_size(loader: object) -> int | None:
    """The size of the last batch, from what the loader says and without reading it."""
    if isinstance(loader, Sequence):
        return len(_pair(loader[-1])[0])
    size, drop = getattr(loader, "batch_size", None), getattr(loader, "drop_last", False)
    try:
        samples = getattr(loader, "num_samples", None) or len(getattr(loader, "sampler", ()))
    except Exception:  # whatever a sampler says that does not know
        return None
    if not isinstance(size, int) or not samples:
        return None
    return size if drop or samples % size == 0 else samples % size


def shares(labels: Tensor) -> Tensor:
    """The share of each class among labels."""
    counts = torch.unique(labels, return_counts=True)[1]
    return counts / counts.sum()
