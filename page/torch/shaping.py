"""Views and rearrangements: other shapes, other orders of axes, pieces, and pieces joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from . import dtypes
from .autograd.engine import record
from .elementwise import broadcast_to, cast
from .layout import Layout, Size, axes, axis, dense, positions, resized
from .tensor import Tensor, gather, make, view

__all__ = ["METHODS", "cat", "matrices_turned", "stack"]


def _sizes(given: Sequence) -> tuple[int, ...]:
    """Sizes that come one by one or as one sequence."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    return tuple(int(size) for size in given)


def _split_axes(layout: Layout, shape: Size) -> tuple[int, ...] | None:
    """Strides that give a layout another shape without moving a number; None if there are none."""
    if layout.is_dense:
        return dense(tuple(shape)).strides
    if math.prod(shape) == 0:
        return dense(tuple(shape)).strides
    old = [(n, s) for n, s in zip(layout.shape, layout.strides, strict=True) if n != 1]
    strides, left = [], list(shape)
    while old:
        size, stride = old.pop()  # a run of axes that lie one after the other, from the end
        while old and old[-1][1] == size * stride:
            size *= old.pop()[0]
        covered = 1
        while left and covered < size:
            strides.append(stride * covered)
            covered *= left.pop()
        if covered != size:
            return None
    strides += [1] * len(left)
    return tuple(reversed(strides))


def view_as_shape(self: Tensor, *shape: object) -> Tensor:
    """The same numbers in another shape; RuntimeError where they would have to move."""
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        return cast(self, shape[0])
    sizes = resized(_sizes(shape), self.numel())
    if _split_axes(self.layout_, sizes) is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return view(
        self, "ViewBackward0",
        lambda layout: Layout(sizes, _split_axes(layout, sizes), layout.offset),
    )  # fmt: skip


def reshape(self: Tensor, *shape: object) -> Tensor:
    """The same numbers in another shape, moved where they must be."""
    sizes = resized(_sizes(shape), self.numel())
    if _split_axes(self.layout_, sizes) is None:
        self = self.clone()
    return view_as_shape(self, sizes)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """The same numbers in the shape of another tensor."""
    return view_as_shape(self, other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """The same numbers in the shape of another tensor, moved where they must be."""
    return reshape(self, other.shape)


def flatten(self: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes made into one."""
    if not self.dim():
        return reshape(self, 1)
    first, last = axis(start_dim, self.dim()), axis(end_dim, self.dim())
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = self.shape
    return reshape(self, *shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def ravel(self: Tensor) -> Tensor:
    """All axes made into one."""
    return flatten(self)


def unflatten(self: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis made into several."""
    at = axis(dim, self.dim())
    try:
        parts = resized(sizes, self.shape[at])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {at} "
            f"({self.shape[at]}) in the input tensor"
        ) from None
    return view_as_shape(self, *self.shape[:at], *parts, *self.shape[at + 1 :])


def permute(self: Tensor, *dims: object) -> Tensor:
    """The axes in another order."""
    named = _sizes(dims)
    if len(named) != self.dim():
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {self.dim()} is not "
            f"equal to len(dims) = {len(named)}"
        )
    order = axes(named, self.dim())
    return view(self, "PermuteBackward0", lambda layout: layout.permuted(order))


def transpose(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    order = list(range(self.dim()))
    if order:
        a, b = axis(dim0, self.dim()), axis(dim1, self.dim())
        order[a], order[b] = order[b], order[a]
    return view(self, "TransposeBackward0", lambda layout: layout.permuted(order))


def t(self: Tensor) -> Tensor:
    """A matrix with its axes exchanged."""
    if self.dim() > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {self.dim()}D")
    return transpose(self, 0, 1) if self.dim() == 2 else self


def matrices_turned(self: Tensor) -> Tensor:
    """Every matrix of a stack with its axes exchanged."""
    if self.dim() < 2:
        raise RuntimeError(
            "tensor.mT is only supported on matrices or batches of matrices. Got "
            f"{self.dim()}-D tensor."
        )
    return transpose(self, -2, -1)


def movedim(self: Tensor, source: object, destination: object) -> Tensor:
    """Axes brought to other places."""
    start = axes(source, self.dim())
    end = axes(destination, self.dim())
    order: list[int | None] = [None] * self.dim()
    for a, b in zip(start, end, strict=True):
        order[b] = a
    rest = iter(i for i in range(self.dim()) if i not in start)
    filled = [next(rest) if place is None else place for place in order]
    return view(self, "PermuteBackward0", lambda layout: layout.permuted(filled))


def expand(self: Tensor, *shape: object) -> Tensor:
    """The same numbers seen many times, along new axes and along axes of one."""
    sizes = _sizes(shape)
    return view(self, "ExpandBackward0", lambda layout: layout.expanded(sizes))


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """The same numbers seen in the shape of another tensor."""
    return expand(self, other.shape)


def unsqueeze(self: Tensor, dim: int) -> Tensor:
    """A new axis of one."""
    at = axis(dim, self.dim() + 1)

    def change(layout: Layout) -> Layout:
        shape = Size((*layout.shape[:at], 1, *layout.shape[at:]))
        return Layout(shape, (*layout.strides[:at], 1, *layout.strides[at:]), layout.offset)

    return view(self, "UnsqueezeBackward0", change)


def squeeze(self: Tensor, dim: object = None) -> Tensor:
    """Axes of one left out."""
    named = axes(dim, self.dim())
    keeps = [i for i, size in enumerate(self.shape) if size != 1 or i not in named]
    return view(self, "SqueezeBackward0", lambda layout: layout.permuted(keeps))


def select(self: Tensor, dim: int, index: int) -> Tensor:
    """One place of an axis, which is left out."""
    at = axis(dim, self.dim())
    size = self.shape[at]
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for dimension {at} with size {size}")
    place = index % size

    def change(layout: Layout) -> Layout:
        keeps = layout.permuted([i for i in range(len(layout.shape)) if i != at])
        return keeps._replace(offset=layout.offset + place * layout.strides[at])

    return view(self, "SelectBackward0", change)


def sliced(self: Tensor, dim: int, start: int, count: int, step: int = 1) -> Tensor:
    """Some places of an axis, evenly spaced."""

    def change(layout: Layout) -> Layout:
        shape, strides = list(layout.shape), list(layout.strides)
        offset = layout.offset + start * strides[dim]
        shape[dim], strides[dim] = count, strides[dim] * step
        return Layout(Size(shape), tuple(strides), offset)

    return view(self, "SliceBackward0", change)


def narrow(self: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A stretch of an axis."""
    at = axis(dim, self.dim())
    size = self.shape[at]
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return sliced(self, at, start, length)


def split(self: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """An axis cut into pieces of a size, or of several."""
    at = axis(dim, self.dim())
    size = self.shape[at]
    if isinstance(split_size, int):
        full, rest = divmod(size, split_size)
        sizes = [split_size] * full + ([rest] if rest or not full else [])
    else:
        sizes = list(split_size)
        if sum(sizes) != size:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's "
                f"size at dimension {at}), but got split_sizes={sizes}"
            )
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(sliced(self, at, a, n) for a, n in zip(starts, sizes, strict=True))


def chunk(self: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """An axis cut into so many pieces."""
    size = self.shape[axis(dim, self.dim())]
    return split(self, max(1, -(-size // chunks)), dim)


def unbind(self: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """One tensor for each place of an axis."""
    return tuple(select(self, dim, i) for i in range(self.shape[axis(dim, self.dim())]))


def diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two axes, as the last axis."""
    a, b = axis(dim1, self.dim()), axis(dim2, self.dim())

    def change(layout: Layout) -> Layout:
        rows, columns = layout.shape[a], layout.shape[b]
        skip = offset * layout.strides[b] if offset >= 0 else -offset * layout.strides[a]
        length = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
        kept = layout.permuted([i for i in range(len(layout.shape)) if i not in (a, b)])
        step = layout.strides[a] + layout.strides[b]
        shape = Size((*kept.shape, max(length, 0)))
        return Layout(shape, (*kept.strides, step), layout.offset + skip)

    return view(self, "DiagonalBackward0", change)


def diag(self: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with this diagonal."""
    if self.dim() == 2:
        return METHODS["diagonal"](self, diagonal).clone()
    n = len(self) + abs(diagonal)
    places = {}
    for i in range(len(self)):
        row, column = (i, i + diagonal) if diagonal >= 0 else (i - diagonal, i)
        places[row * n + column] = i
    return gather(self, [places.get(i) for i in range(n * n)], (n, n))


def _rows(size: Size) -> list[tuple[int, ...]]:
    """Every index of a shape, in reading order."""
    found: list[tuple[int, ...]] = [()]
    for count in size:
        found = [(*index, i) for index in found for i in range(count)]
    return found


def _masked(self: Tensor, diagonal: int, upper: bool) -> Tensor:
    keeps = [
        at if (index[-1] - index[-2] >= diagonal) == upper or index[-1] - index[-2] == diagonal
        else None
        for at, index in enumerate(_rows(self.shape))
    ]  # fmt: skip
    return gather(self, keeps, self.shape)


def tril(self: Tensor, diagonal: int = 0) -> Tensor:
    """What stands on a diagonal or below; 0 elsewhere."""
    return _masked(self, diagonal, False)


def triu(self: Tensor, diagonal: int = 0) -> Tensor:
    """What stands on a diagonal or above; 0 elsewhere."""
    return _masked(self, diagonal, True)


def flip(self: Tensor, *dims: object) -> Tensor:
    """Axes turned round."""
    turned = axes(_sizes(dims), self.dim())
    layout = dense(self.shape)
    strides = tuple(-s if i in turned else s for i, s in enumerate(layout.strides))
    start = sum((self.shape[i] - 1) * layout.strides[i] for i in turned)
    return gather(self, positions(Layout(layout.shape, strides, start)), self.shape)


def roll(self: Tensor, shifts: int | Sequence[int], dims: object = None) -> Tensor:
    """Numbers moved along axes, what leaves at the end coming back at the start."""
    if dims is None:
        return reshape(roll(flatten(self), shifts, 0), self.shape)
    moves = dict(zip(axes(dims, self.dim()), _sizes((shifts,)), strict=True))
    strides = dense(self.shape).strides
    at = [
        sum((i - moves.get(d, 0)) % self.shape[d] * strides[d] for d, i in enumerate(index))
        for index in _rows(self.shape)
    ]
    return gather(self, at, self.shape)


def repeat(self: Tensor, *sizes: object) -> Tensor:
    """Copies of the tensor, so many along each axis."""
    times = _sizes(sizes)
    if len(times) < self.dim():
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    old = (1,) * (len(times) - self.dim()) + tuple(self.shape)
    strides = dense(old).strides
    shape = Size(n * k for n, k in zip(old, times, strict=True))
    at = [
        sum(i % n * s for i, n, s in zip(index, old, strides, strict=True))
        for index in _rows(shape)
    ]
    return gather(self, at, shape)


def repeat_interleave(self: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    """Every place of an axis several times in a row."""
    x, at = (flatten(self), 0) if dim is None else (self, axis(dim, self.dim()))
    return flatten(expand(unsqueeze(x, at + 1), *[-1] * (at + 1), repeats, *[-1] * (x.dim() - at - 1)), at, at + 1)  # fmt: skip  # noqa: E501


def cat(tensors: Sequence[Tensor], dim: int = 0, **_options: object) -> Tensor:
    """Tensors put one after the other along an axis."""
    parts = list(tensors)
    if not parts:
        raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
    kind = dtypes.promote([(p.dtype, p.shape) for p in parts])
    parts = [cast(p, kind) for p in parts if p.shape != (0,)] or [parts[0]]
    if not parts[0].dim():
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    at = axis(dim, parts[0].dim())
    for i, part in enumerate(parts):
        same = [a == b for d, (a, b) in enumerate(zip(part.shape, parts[0].shape)) if d != at]  # noqa: B905
        if part.dim() != parts[0].dim() or not all(same):
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {at}. Expected size "
                f"{list(parts[0].shape)} but got size {list(part.shape)} for tensor number {i} in "
                "the list."
            )
    return _joined(parts, at)


def _joined(parts: list[Tensor], at: int) -> Tensor:
    first = [p.movedim(at, 0) for p in parts]
    values = [value for p in first for value in p.values()]
    shape = (sum(len(p) for p in first), *first[0].shape[1:])
    starts = [sum(len(p) for p in first[:i]) for i in range(len(first))]
    pairs = [
        (p, partial(sliced, dim=0, start=start, count=len(p)))
        for p, start in zip(first, starts, strict=True)
    ]
    out = record(make(values, shape, parts[0].dtype), "CatBackward0", *pairs)
    return out if at == 0 else out.movedim(0, at).contiguous()


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape put together along a new axis."""
    parts = list(tensors)
    if not parts:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at "
                f"entry 0 and {list(part.shape)} at entry {i}"
            )
    return cat([unsqueeze(part, dim) for part in parts], dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side."""
    parts = [p.reshape(1) if not p.dim() else p for p in tensors]
    return cat(parts, 0 if parts[0].dim() == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other."""
    return cat([p.reshape(1, -1) if p.dim() < 2 else p for p in tensors], 0)


def broadcast_tensors(*tensors: Tensor) -> list[Tensor]:
    """Tensors repeated to the shape that they share."""
    from .layout import broadcast

    shape = Size(())
    for tensor in tensors:
        shape = broadcast(shape, tensor.shape)
    return [broadcast_to(tensor, shape) for tensor in tensors]


METHODS = {
    "view": view_as_shape, "concat": cat, "concatenate": cat, "swapaxes": transpose,
    "broadcast_to": lambda self, size: expand(self, size),
} | {
    name: globals()[name]
    for name in (
        *("reshape", "view_as", "reshape_as", "flatten", "ravel", "unflatten", "permute", "t"),
        *("transpose", "movedim", "expand", "expand_as", "unsqueeze", "squeeze", "select"),
        *("narrow", "split", "chunk", "unbind", "diagonal", "diag", "tril", "triu", "flip"),
        *("roll", "repeat", "repeat_interleave", "cat", "stack", "hstack", "vstack"),
        *("broadcast_tensors",),
    )
}  # fmt: skip
