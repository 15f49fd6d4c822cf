"""Data sets in memory, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..random import Generator, randperm
from ..shaping import stack
from ..tensor import Tensor

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset"]


class Dataset:
    """Examples by number."""

    def __getitem__(self, index: int) -> object:
        raise NotImplementedError


class TensorDataset(Dataset):
    """Rows of tensors that belong together."""

    def __init__(self, *tensors: Tensor) -> None:
        if any(len(t) != len(tensors[0]) for t in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple:
        return tuple(tensor[index] for tensor in self.tensors)


class Subset(Dataset):
    """Some examples of a data set."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> object:
        return self.dataset[self.indices[index]]


def _together(examples: list) -> object:
    from ..creation import tensor

    if isinstance(examples[0], (tuple, list)):
        return [_together(list(part)) for part in zip(*examples, strict=True)]
    return stack(examples) if isinstance(examples[0], Tensor) else tensor(examples)


class DataLoader:
    """Batches of a data set."""

    def __init__(
        self, dataset: Dataset, batch_size: int = 1, shuffle: bool = False,
        drop_last: bool = False, collate_fn: Callable | None = None,
        generator: Generator | None = None, **_options: object,
    ) -> None:  # fmt: skip
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.drop_last, self.generator = drop_last, generator
        self.collate_fn = collate_fn or _together

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[object]:
        count = len(self.dataset)
        order = randperm(count, generator=self.generator).tolist() if self.shuffle else range(count)
        for i in range(len(self)):
            places = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield self.collate_fn([self.dataset[j] for j in places])
