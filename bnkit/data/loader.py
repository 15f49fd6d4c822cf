"""Batches from images in memory, with one batch of floats at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["BatchLoader"]


class BatchLoader:
    """Iterate over images in memory, batch by batch; stands in for a ``DataLoader``.

    The images stay as they are (bytes); only the current batch is turned into floats.

    Args:
        images: uint8 (N, ...), scaled to [0, 1] by 1/255; or floats (N, ...), taken as they are.
        labels: Labels or targets, (N, ...).
        batch_size: Samples a batch; the last one may be shorter.
        shuffle: Whether each epoch has a new random order.
        seed: Seed or ``torch.Generator`` of that order; ``None`` takes PyTorch's global one.
        device: Where images and labels are kept and batches made.
        indices: Which samples to use, as an index tensor; ``None`` means all.
        flatten: Whether a batch is (B, features); else (B, 1, H, W) for (N, H, W) images.
        drop_last: Whether to leave out a short last batch.

    Raises:
        ValueError: Images and labels differ in number, or ``batch_size`` is below 1.

    Example:
        >>> images = torch.full((5, 28, 28), 255, dtype=torch.uint8)
        >>> loader = BatchLoader(images, torch.arange(5), batch_size=2)
        >>> [(x.shape[0], x.max().item(), y.tolist()) for x, y in loader]
        [(2, 1.0, [0, 1]), (2, 1.0, [2, 3]), (1, 1.0, [4])]
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int | torch.Generator | None = None,
        device: str | torch.device = "cpu",
        *,
        indices: Tensor | None = None,
        flatten: bool = True,
        drop_last: bool = False,
    ) -> None:
        if len(images) != len(labels):
            raise ValueError(
                f"expected as many labels as images, got images {tuple(images.shape)} "
                f"and labels {tuple(labels.shape)}"
            )
        if batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {batch_size}")
        self.images, self.labels = images.to(device), labels.to(device)
        self.indices = None if indices is None else indices.to(device)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.flatten, self.drop_last = flatten, drop_last
        seeded = isinstance(seed, int)
        self.generator = torch.Generator().manual_seed(seed) if seeded else seed
        self.rank, self.world_size = 0, 1

    def shard(self, rank: int, world_size: int) -> BatchLoader:
        """Make the loader of one process of several: it yields that process's part of each batch.

        Together the parts are the batches of this loader, in its order, and every process has as
        many. A part has at least two samples, of which batch normalization can make statistics,
        or none: a short last batch may leave the last processes without.

        Args:
            rank: The process, from 0.
            world_size: How many there are.

        Returns:
            A loader of the same images, which are not copied.

        Raises:
            ValueError: The rank is not below ``world_size``, or the order is random without a seed,
                so that the processes would not agree on it.

        Example:
            >>> loader = BatchLoader(torch.zeros(7, 1), torch.arange(7), batch_size=5)
            >>> [[y.tolist() for _, y in loader.shard(rank, 2)] for rank in (0, 1)]
            [[[0, 1], [5, 6]], [[2, 3, 4], []]]
        """
        if not 0 <= rank < world_size:
            raise ValueError(f"expected a rank from 0 to {world_size - 1}, got {rank}")
        if self.shuffle and self.generator is None:
            raise ValueError("expected a seeded order for all processes to share, got seed=None")
        part = copy.copy(self)
        part.rank, part.world_size = rank, world_size
        if self.generator is not None:  # parts in one process must not take turns in drawing
            part.generator = torch.Generator(self.generator.device)
            part.generator.set_state(self.generator.get_state())
        return part

    @property
    def num_samples(self) -> int:
        """Samples that the loader draws from."""
        return len(self.images) if self.indices is None else len(self.indices)

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        order = "shuffled" if self.shuffle else "in order"
        part = f", part {self.rank + 1} of {self.world_size}" if self.world_size > 1 else ""
        samples = f"{self.num_samples:,} samples in {len(self):,} batches"
        return f"BatchLoader: {samples}, {order}{part}"

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = self._part(start, min(start + self.batch_size, self.num_samples))
            if order is None:
                yield self._floats(self.images[batch]), self.labels[batch]
            else:
                batch = order[batch]
                yield self._floats(self.images.index_select(0, batch)), self.labels[batch]

    def _part(self, start: int, stop: int) -> slice:
        parts = min(self.world_size, max(1, (stop - start) // 2))
        cuts = [start + (stop - start) * min(r, parts) // parts for r in (self.rank, self.rank + 1)]
        return slice(*cuts)

    def _order(self) -> Tensor | None:
        if not self.shuffle:
            return self.indices
        order = torch.randperm(self.num_samples, generator=self.generator)
        order = order.to(self.images.device)
        return order if self.indices is None else self.indices[order]

    def _floats(self, batch: Tensor) -> Tensor:
        scaled = batch.float().div_(255) if batch.dtype == torch.uint8 else batch.float()
        if self.flatten:
            return scaled.flatten(1)  # (B, 784)
        return scaled.unsqueeze(1) if scaled.ndim == 3 else scaled  # (B, 1, 28, 28)
