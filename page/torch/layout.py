"""Where the numbers of a tensor lie in its list: shape, strides, offset, and views as new ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

__all__ = ["Layout", "Size", "axes", "axis", "broadcast", "dense", "positions", "resized"]


class Size(tuple):
    """The shape of a tensor."""

    def numel(self) -> int:
        """How many numbers it holds."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, index: int | slice) -> int | Size:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: tuple) -> Size:
        return Size(tuple.__add__(self, tuple(other)))


class Layout(NamedTuple):
    """The number at index (i, j, ...) lies at offset + i * strides[0] + j * strides[1] + ..."""

    shape: Size
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def is_dense(self) -> bool:
        """Whether the numbers lie one after the other in reading order."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True

    def permuted(self, order: Sequence[int]) -> Layout:
        """The same numbers with the axes in another order."""
        shape = Size(self.shape[i] for i in order)
        return Layout(shape, tuple(self.strides[i] for i in order), self.offset)

    def expanded(self, shape: Sequence[int]) -> Layout:
        """The same numbers repeated along new axes and along axes of one; -1 keeps a size."""
        added = len(shape) - len(self.shape)
        if added < 0:
            raise RuntimeError(
                f"expand(torch.FloatTensor{list(self.shape)}, size={list(shape)}): the number of "
                f"sizes provided ({len(shape)}) must be greater or equal to the number of "
                f"dimensions in the tensor ({len(self.shape)})"
            )
        old, strides, sizes = (1,) * added + tuple(self.shape), (0,) * added + self.strides, []
        for i, (size, wanted) in enumerate(zip(old, shape, strict=True)):
            if wanted not in (-1, size) and size != 1:
                raise RuntimeError(
                    f"The expanded size of the tensor ({wanted}) must match the existing size "
                    f"({size}) at non-singleton dimension {i}.  Target sizes: {list(shape)}.  "
                    f"Tensor sizes: {list(self.shape)}"
                )
            sizes.append(size if wanted == -1 else wanted)
        moved = tuple(
            0 if size == 1 and wanted != 1 else stride
            for size, wanted, stride in zip(old, sizes, strides, strict=True)
        )
        return Layout(Size(sizes), moved, self.offset)


@lru_cache(maxsize=4096)
def dense(shape: tuple[int, ...]) -> Layout:
    """The layout of numbers that lie one after the other."""
    strides, stride = [], 1
    for size in reversed(shape):
        strides.append(stride)
        stride *= max(size, 1)
    return Layout(Size(shape), tuple(reversed(strides)))


@lru_cache(maxsize=4096)
def positions(layout: Layout) -> list[int]:
    """Where each number lies, in reading order."""
    found = [layout.offset]
    for size, stride in zip(layout.shape, layout.strides, strict=True):
        found = [start + i * stride for start in found for i in range(size)]
    return found


@lru_cache(maxsize=4096)
def broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> Size:
    """The shape that two shapes share, axes aligned at the end."""
    sizes = []
    for back, (a, b) in enumerate(zip_longest(reversed(first), reversed(second), fillvalue=1)):
        if a != b and 1 not in (a, b):
            at = max(len(first), len(second)) - 1 - back
            raise RuntimeError(
                f"The size of tensor a ({a}) must match the size of tensor b ({b}) at "
                f"non-singleton dimension {at}"
            )
        sizes.append(b if a == 1 else a)
    return Size(reversed(sizes))


def axis(dim: int, count: int) -> int:
    """An axis counted from the start; IndexError where there is none."""
    size = max(count, 1)
    if not -size <= dim < size:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], "
            f"but got {dim})"
        )
    return dim % size


def axes(dim: int | Sequence[int] | None, count: int) -> tuple[int, ...]:
    """Axes counted from the start; all of them where none is named."""
    if dim is None or (isinstance(dim, Sequence) and not dim):
        return tuple(range(count))
    named = tuple(axis(d, count) for d in ((dim,) if isinstance(dim, int) else dim))
    if len(set(named)) != len(named):
        raise RuntimeError(f"dim {named[0]} appears multiple times in the list of dims")
    return named if count else ()


def resized(shape: Sequence[int], count: int) -> Size:
    """A shape for so many numbers, with at most one -1 filled in."""
    sizes = list(shape)
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known and count % known == 0:
        sizes[sizes.index(-1)] = count // known
    if -1 in sizes or math.prod(sizes) != count:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return Size(sizes)
