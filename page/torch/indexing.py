"""What stands between square brackets, read and written; places by number and by mask."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import dtypes
from .autograd.engine import record
from .elementwise import broadcast_to, cast, operand
from .layout import Size, axis, broadcast, dense, positions
from .shaping import select, sliced, unsqueeze
from .tensor import Tensor, check_writable, gather, make, write, written

__all__ = ["METHODS"]


def _is_place(part: object) -> bool:
    return isinstance(part, (Tensor, list, tuple, range)) and not (
        isinstance(part, Tensor) and not part.shape and part.dtype.kind == dtypes.int64.kind
    )


def _is_truth(part: object) -> bool:
    """Whether a part of an index is one truth value as a tensor: it adds an axis, as True does."""
    return isinstance(part, Tensor) and not part.shape and part.dtype is dtypes.bool_


def _parts(index: object, x: Tensor) -> list:
    """An index as a list, with `...` spelled out."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [list(p) if isinstance(p, range) else bool(p) if _is_truth(p) else p for p in parts]
    used = sum(_uses(p) for p in parts)
    if used > x.dim():
        raise IndexError(f"too many indices for tensor of dimension {x.dim()}")
    rest = [slice(None)] * (x.dim() - used)
    for i, part in enumerate(parts):
        if part is Ellipsis:
            return parts[:i] + rest + [p for p in parts[i + 1 :] if p is not Ellipsis]
    return parts + rest


def _uses(part: object) -> int:
    """How many axes a part of an index stands for."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    if isinstance(part, Tensor) and part.dtype is dtypes.bool_:
        return part.dim()
    return 1


def _plain(x: Tensor, parts: list) -> tuple[Tensor, list]:
    """Numbers, slices and None applied as views; the places that are left, by axis."""
    dim, places = 0, []
    for part in parts:
        if part is None:
            x, dim = unsqueeze(x, dim), dim + 1
        elif isinstance(part, slice):
            start, stop, step = (
                None if p is None else int(p) for p in (part.start, part.stop, part.step)
            )
            if step is not None and step < 1:
                raise ValueError("step must be greater than zero")
            start, stop, step = slice(start, stop, step).indices(x.shape[dim])
            count = len(range(start, stop, step))
            if (start, count, step) != (0, x.shape[dim], 1):
                x = sliced(x, dim, start, count, step)
            dim += 1
        elif isinstance(part, bool):
            x = unsqueeze(x, dim)
            places.append((dim, make([0] if part else [], (int(part),), dtypes.int64)))
            dim += 1
        elif _is_place(part):
            dim = _place(x, dim, part, places)
        elif hasattr(part, "__index__"):
            x = select(x, dim, part.__index__())
        else:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables "
                f"are valid indices (got {type(part).__name__})"
            )
    return x, places


def _place(x: Tensor, dim: int, part: object, places: list) -> int:
    """Note the places that a tensor or list names; return the axis after them."""
    from .creation import tensor

    at = part if isinstance(part, Tensor) else tensor(part)
    if at.dtype.is_floating_point:
        if at.numel():
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        at = cast(at, dtypes.int64)
    if at.dtype is not dtypes.bool_:
        places.append((dim, at))
        return dim + 1
    for i, size in enumerate(at.shape):
        if size != x.shape[dim + i]:
            raise IndexError(
                f"The shape of the mask {list(at.shape)} at index {i} does not match the shape of "
                f"the indexed tensor {list(x.shape)} at index {dim + i}"
            )
    found = nonzero(at, as_tuple=True)
    places.extend((dim + i, each) for i, each in enumerate(found))
    return dim + at.dim()


def _numbers(x: Tensor, places: list) -> tuple[list[int], Size]:
    """Where the named places stand in reading order of x, and the shape of the result."""
    shape = Size(())
    for _, at in places:
        try:
            shape = broadcast(shape, at.shape)
        except RuntimeError:
            shapes = ", ".join(str(list(p.shape)) for _, p in places)
            raise IndexError(
                "shape mismatch: indexing tensors could not be broadcast together with shapes "
                f"{shapes}"
            ) from None
    strides, dims = dense(x.shape).strides, [dim for dim, _ in places]
    base = [0] * math.prod(shape)
    for dim, at in places:
        size = x.shape[dim]
        for i, value in enumerate(broadcast_to(at, shape).values()):
            if not -size <= value < size:
                raise IndexError(
                    f"index {value} is out of bounds for dimension {dim} with size {size}"
                )
            base[i] += value % size * strides[dim]
    rest = [i for i in range(x.dim()) if i not in dims]
    together = dims == list(range(dims[0], dims[0] + len(dims)))
    front = [i for i in rest if i < dims[0]] if together else []
    back = [i for i in rest if i not in front]
    before, after = (positions(dense(x.shape).permuted(part)) for part in (front, back))
    found = [a + b + c for a in before for b in base for c in after]
    sizes = Size(x.shape[i] for i in front) + shape + Size(x.shape[i] for i in back)
    return found, sizes


def getitem(self: Tensor, index: object) -> Tensor:
    """The numbers at an index: a view, or a copy where places are named by tensors."""
    x, places = _plain(self, _parts(index, self))
    if not places:
        return x if x is not self else sliced(x, 0, 0, x.shape[0]) if x.dim() else x[None][0]
    at, shape = _numbers(x, places)
    return gather(x, at, shape)


def setitem(self: Tensor, index: object, value: object) -> None:
    """Write numbers at an index."""
    check_writable(self)
    x, places = _plain(self, _parts(index, self))
    source = cast(operand(value, self), self.dtype)
    if not places:
        write(x if x is not self else self, _fitted(source, x.shape))
        return
    at, shape = _numbers(x, places)
    write(x, _placed(x, at, _fitted(source, shape)))


def _fitted(source: Tensor, shape: Size) -> Tensor:
    while source.dim() > len(shape) and source.shape[0] == 1:
        source = source[0]
    try:
        if broadcast(source.shape, shape) != shape:
            raise RuntimeError
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(source.shape)} cannot be broadcast to "
            f"indexing result of shape {list(shape)}"
        ) from None
    return broadcast_to(source, shape)


def _placed(x: Tensor, at: Sequence[int], source: Tensor, adds: bool = False) -> Tensor:
    """A copy of x with other numbers at these places in reading order, or with these added."""
    values, size = list(x.values()), source.shape
    for i, value in zip(at, source.values(), strict=True):
        values[i] = values[i] + value if adds else value
    inside = set() if adds else set(at)
    keeps = [None if i in inside else i for i in range(len(values))]
    shape = x.shape
    return record(
        make(x.dtype.rounded(values), shape, x.dtype), "IndexPutBackward0",
        (x, lambda g: gather(g, keeps, shape)), (source, lambda g: gather(g, at, size)),
    )  # fmt: skip


def nonzero(self: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The places of numbers that are not 0."""
    strides = dense(self.shape).strides
    at = [i for i, value in enumerate(self.values()) if value]
    columns = [
        [i // stride % size for i in at] for stride, size in zip(strides, self.shape, strict=True)
    ]
    if as_tuple:
        return tuple(make(column, (len(at),), dtypes.int64) for column in columns)
    rows = [value for row in zip(*columns, strict=True) for value in row]
    return make(rows, (len(at), self.dim()), dtypes.int64)


def masked_fill(self: Tensor, mask: Tensor, value: object) -> Tensor:
    """Another number where a mask holds."""
    from .elementwise import where

    return cast(where(mask, cast(operand(value, self), self.dtype), self), self.dtype)


def masked_select(self: Tensor, mask: Tensor) -> Tensor:
    """The numbers where a mask holds."""
    shape = broadcast(self.shape, mask.shape)
    return getitem(broadcast_to(self, shape), broadcast_to(mask, shape))


def index_select(self: Tensor, dim: int, index: Tensor) -> Tensor:
    """Places of an axis, by number."""
    at = axis(dim, self.dim())
    return getitem(self, (*[slice(None)] * at, index))


def _along(self: Tensor, dim: int, index: Tensor) -> list[int]:
    """Places in reading order: the index's own, but along one axis what it says."""
    at = axis(dim, self.dim())
    strides, found = dense(self.shape).strides, []
    steps = dense(index.shape).strides
    for i, value in enumerate(index.values()):
        if not 0 <= value < self.shape[at]:
            raise RuntimeError(
                f"index {value} is out of bounds for dimension {at} with size {self.shape[at]}"
            )
        own = [i // step % size for step, size in zip(steps, index.shape, strict=True)]
        own[at] = value
        found.append(sum(a * b for a, b in zip(own, strides, strict=True)))
    return found


def gather_along(self: Tensor, dim: int, index: Tensor) -> Tensor:
    """The numbers that an index names along an axis."""
    return gather(self, _along(self, dim, index), index.shape)


def take_along_dim(self: Tensor, indices: Tensor, dim: int) -> Tensor:
    """The same with the arguments the other way round."""
    return gather_along(self, dim, indices)


def scatter_along(self: Tensor, dim: int, index: Tensor, src: object) -> Tensor:
    """A copy with numbers written where an index names places along an axis."""
    source = broadcast_to(cast(operand(src, self), self.dtype), index.shape)
    return _placed(self, _along(self, dim, index), source)


def scatter_add(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with numbers added where an index names places along an axis."""
    return _placed(self, _along(self, dim, index), src, adds=True)


def index_add(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with slices added at places of an axis."""
    at, _ = _numbers(self, [(axis(dim, self.dim()), index)])
    return _placed(self, at, source, adds=True)


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write the numbers of another tensor, repeated where need be."""
    check_writable(self)
    source = operand(src, self)
    if broadcast(source.shape, self.shape) != self.shape:
        raise RuntimeError(
            f"The size of tensor a {list(self.shape)} must match the size of tensor b "
            f"{list(source.shape)}"
        )
    copied = cast(source, self.dtype)
    return write(self, broadcast_to(copied, self.shape))


def fill_(self: Tensor, value: object) -> Tensor:
    """Write one number everywhere."""
    filled = cast(operand(value, self), self.dtype)
    return write(self, broadcast_to(filled, self.shape))


def zero_(self: Tensor) -> Tensor:
    """Write 0 everywhere."""
    return fill_(self, 0)


METHODS = {
    "__getitem__": getitem, "__setitem__": setitem, "nonzero": nonzero, "copy_": copy_,
    "masked_fill": masked_fill, "masked_fill_": written("masked_fill_", masked_fill),
    "masked_select": masked_select, "index_select": index_select, "gather": gather_along,
    "take_along_dim": take_along_dim, "scatter": scatter_along, "scatter_add": scatter_add,
    "scatter_": written("scatter_", scatter_along), "index_add": index_add,
    "scatter_add_": written("scatter_add_", scatter_add), "fill_": fill_, "zero_": zero_,
    "index_add_": written("index_add_", index_add),
}  # fmt: skip
