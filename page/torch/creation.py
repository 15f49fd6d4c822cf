"""New tensors: from numbers and lists, filled with one number, evenly spaced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from . import dtypes
from .dtypes import dtype
from .elementwise import cast
from .lacking import lacks
from .layout import Size
from .tensor import Tensor, device, make

__all__ = ["METHODS", "NAMES", "tensor", "zeros"]

DEVICE = device()


def _flat(data: object) -> tuple[list, tuple[int, ...], list[dtype]]:
    """Numbers of nested lists in reading order, their shape, and the dtypes that occur."""
    if isinstance(data, Tensor):
        return list(data.values()), tuple(data.shape), [data.dtype]
    if isinstance(data, (bool, int, float)):
        return [data], (), [dtypes.of_value(data)]
    if isinstance(data, (list, tuple, range)):
        parts = [_flat(each) for each in data]
        if not parts:
            return [], (0,), []
        shapes = [shape for _, shape, _ in parts]
        if len(set(shapes)) > 1:
            _refuse_ragged(data, shapes)
        kinds = [kind for _, _, found in parts for kind in found]
        return [v for values, _, _ in parts for v in values], (len(parts), *shapes[0]), kinds
    if isinstance(data, complex):
        raise lacks("complex numbers")
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type {type(data).__name__!r}")
    if hasattr(data, "__float__") and not hasattr(data, "__len__"):
        return [float(data)], (), [dtypes.default.kind]
    if data is None or not isinstance(data, Iterable):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    raise TypeError(f"expected a number or a list of numbers, got {type(data).__name__}")


def _refuse_ragged(data: Sequence, shapes: list[tuple[int, ...]]) -> None:
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            if not shape or not shapes[0]:
                name = type(data[i] if not shape else data[0]).__name__
                raise TypeError(f"expected a sequence of one length at each depth, got {name}")
            raise ValueError(
                f"expected sequence of length {shapes[0][0]} at dim 1 (got {shape[0]})"
            )


def tensor(
    data: object, *, dtype: dtype | None = None, device: object = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor of numbers, of nested lists of numbers, or of a copy of a tensor's."""
    DEVICE.__class__(device or "cpu")
    values, shape, kinds = _flat(data)
    if dtype is None:
        dtype = dtypes.promote([(k, Size((1,))) for k in kinds]) if kinds else dtypes.default.kind
    made = make(dtype.rounded(values), shape, dtype)
    return made.requires_grad_() if requires_grad else made


def as_tensor(data: object, dtype: dtype | None = None, device: object = None) -> Tensor:
    """The tensor itself, or a new one of numbers."""
    if isinstance(data, Tensor):
        return data if dtype is None else cast(data, dtype)
    return tensor(data, dtype=dtype)


def _shape(sizes: Sequence) -> tuple[int, ...]:
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    for size in sizes:
        if isinstance(size, float):
            raise TypeError("expected whole numbers as sizes, got a float")
        if size < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {int(size)}: {list(sizes)}"
            )
    return tuple(int(size) for size in sizes)


def _filled(
    value: float | int | bool, sizes: Sequence, dtype: dtype | None, requires_grad: bool
) -> Tensor:
    shape, kind = _shape(sizes), dtype or dtypes.default.kind
    made = make(kind.rounded([value]) * math.prod(shape), shape, kind)
    return made.requires_grad_() if requires_grad else made


def zeros(
    *size: object, dtype: dtype | None = None, device: object = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros."""
    return _filled(0, size, dtype, requires_grad)


def ones(
    *size: object, dtype: dtype | None = None, device: object = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ones."""
    return _filled(1, size, dtype, requires_grad)


def full(
    size: Sequence[int], fill_value: float, *, dtype: dtype | None = None, device: object = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of one number."""
    return _filled(fill_value, (size,), dtype or dtypes.of_value(fill_value), requires_grad)


def zeros_like(input: Tensor, *, dtype: dtype | None = None, **_options: object) -> Tensor:
    """Zeros in the shape of another tensor."""
    return _filled(0, (input.shape,), dtype or input.dtype, False)


def ones_like(input: Tensor, *, dtype: dtype | None = None, **_options: object) -> Tensor:
    """Ones in the shape of another tensor."""
    return _filled(1, (input.shape,), dtype or input.dtype, False)


def full_like(
    input: Tensor, fill_value: float, *, dtype: dtype | None = None, **_options: object
) -> Tensor:
    """One number in the shape of another tensor."""
    return _filled(fill_value, (input.shape,), dtype or input.dtype, False)


def new_zeros(self: Tensor, *size: object, dtype: dtype | None = None, **_o: object) -> Tensor:
    """Zeros of this tensor's dtype."""
    return _filled(0, size, dtype or self.dtype, False)


def new_ones(self: Tensor, *size: object, dtype: dtype | None = None, **_o: object) -> Tensor:
    """Ones of this tensor's dtype."""
    return _filled(1, size, dtype or self.dtype, False)


def new_full(self: Tensor, size: Sequence[int], fill_value: float, **_o: object) -> Tensor:
    """One number, of this tensor's dtype."""
    return _filled(fill_value, (size,), self.dtype, False)


def new_tensor(self: Tensor, data: object, **_o: object) -> Tensor:
    """Numbers of this tensor's dtype."""
    return tensor(data, dtype=self.dtype)


def arange(
    *ends: object, step: object = None, dtype: dtype | None = None, **_options: object
) -> Tensor:
    """Evenly spaced numbers up to an end, which is left out."""
    given = [e.item() if isinstance(e, Tensor) else e for e in ends]
    start, end = (0, given[0]) if len(given) == 1 else given[:2]
    by = given[2] if len(given) > 2 else 1 if step is None else step
    if by == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * by < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    count = math.ceil((end - start) / by)
    real = any(isinstance(v, float) for v in (start, end, by))
    kind = dtype or (dtypes.default.kind if real else dtypes.int64)
    return make(kind.rounded([start + i * by for i in range(count)]), (count,), kind)


def linspace(
    start: float, end: float, steps: int, *, dtype: dtype | None = None, **_options: object
) -> Tensor:
    """So many evenly spaced numbers, both ends among them."""
    kind, by = dtype or dtypes.default.kind, (end - start) / (steps - 1) if steps > 1 else 0.0
    half = steps / 2
    found = [start + i * by if i < half else end - (steps - 1 - i) * by for i in range(steps)]
    return make(kind.rounded(found), (steps,), kind)


def logspace(start: float, end: float, steps: int, base: float = 10.0, **options: object) -> Tensor:
    """Powers of a base whose exponents are evenly spaced."""
    exponents = linspace(start, end, steps, dtype=dtypes.float64)
    kind = options.get("dtype") or dtypes.default.kind
    return make(kind.rounded([base**e for e in exponents.values()]), (steps,), kind)


def eye(n: int, m: int | None = None, *, dtype: dtype | None = None, **_options: object) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    m, kind = n if m is None else m, dtype or dtypes.default.kind
    return make(kind.rounded([int(i == j) for i in range(n) for j in range(m)]), (n, m), kind)


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """The places on and below a diagonal."""
    places = [(i, j) for i in range(row) for j in range(col) if j - i <= offset]
    return tensor([[i for i, _ in places], [j for _, j in places]])


def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Every combination of numbers of vectors."""
    parts = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = tuple(len(p) for p in parts)
    grids = [
        p.reshape([-1 if i == j else 1 for j in range(len(parts))]).expand(shape)
        for i, p in enumerate(parts)
    ]
    return tuple(g.transpose(0, 1) for g in grids) if indexing == "xy" else tuple(grids)


def to(self: Tensor, *given: object, dtype: dtype | None = None, **_options: object) -> Tensor:
    """In another dtype; the device is the processor in any case."""
    for each in (*given, _options.get("device")):
        if isinstance(each, dtypes.dtype):
            dtype = each
        elif isinstance(each, Tensor):
            dtype = each.dtype
        elif isinstance(each, str):
            device(each)
    if dtype is None:
        return self.clone() if _options.get("copy") else self
    return (
        cast(self, dtype) if dtype is not self.dtype or not _options.get("copy") else self.clone()
    )


def type_(self: Tensor, dtype: dtype | None = None) -> object:
    """In another dtype."""
    return cast(self, dtype) if dtype is not None else f"torch.{self.dtype.name}"


def _as(name: str) -> object:
    kind = getattr(dtypes, name)

    def convert(self: Tensor) -> Tensor:
        return cast(self, kind)

    convert.__doc__ = f"As {kind}."
    return convert


NAMES = {
    name: globals()[name]
    for name in (
        *("tensor", "as_tensor", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like"),
        *("arange", "linspace", "logspace", "eye", "tril_indices", "meshgrid"),
    )
} | {"empty": zeros, "empty_like": zeros_like, "asarray": as_tensor}
METHODS = {
    "new_zeros": new_zeros, "new_ones": new_ones, "new_full": new_full, "new_tensor": new_tensor,
    "new_empty": new_zeros, "to": to, "type": type_, "type_as": to, "cpu": lambda self: self,
    "float": _as("float32"), "double": _as("float64"), "half": _as("float16"),
    "bfloat16": _as("bfloat16"), "long": _as("int64"), "int": _as("int32"), "bool": _as("bool_"),
    "short": _as("int16"), "byte": _as("uint8"),
}  # fmt: skip
