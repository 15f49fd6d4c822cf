"""Operations that make one number of many: sums, means, variances, extremes, and softmax."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import dtypes
from .autograd.engine import record
from .dtypes import dtype
from .elementwise import cast, where
from .layout import Size, axes, positions
from .tensor import Tensor, gather, make

__all__ = ["METHODS"]

Dims = int | Sequence[int] | None


class _Plan(NamedTuple):
    """A reduction: which axes, the shape that is left, and the same with axes of one."""

    dims: tuple[int, ...]
    shape: Size
    kept: Size
    count: int


def _plan(x: Tensor, dim: Dims, keepdim: bool) -> _Plan:
    dims = axes(dim, x.dim())
    kept = Size(1 if i in dims else size for i, size in enumerate(x.shape))
    shape = kept if keepdim else Size(n for i, n in enumerate(x.shape) if i not in dims)
    return _Plan(dims, shape, kept, math.prod(x.shape[i] for i in dims))


def _groups(x: Tensor, plan: _Plan) -> list[list]:
    """The numbers that share a result, one list for each."""
    count = plan.count
    if len(plan.dims) == x.dim():
        values = x.values()
    else:
        order = [i for i in range(x.dim()) if i not in plan.dims] + list(plan.dims)
        held = x._storage.values
        values = [held[i] for i in positions(x.layout_.permuted(order))]
    if count == 0:
        return [[] for _ in range(math.prod(plan.shape))]
    return [values[i : i + count] for i in range(0, len(values), count)]


def _back_to(g: Tensor, x: Tensor, plan: _Plan) -> Tensor:
    """A gradient of results, given to all numbers that share one."""
    return g.reshape(plan.kept).expand(x.shape)


def _total(values: list) -> float:
    try:
        return (
            math.fsum(values) if values and isinstance(values[0], float) else builtins.sum(values)
        )
    except (OverflowError, ValueError):  # infinities of both signs
        return builtins.sum(values)


def _typed(x: Tensor, kind: dtype | None) -> Tensor:
    if kind is not None:
        return cast(x, kind)
    return x if x.dtype.is_floating_point else cast(x, dtypes.int64)


def sum(
    self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None,
    axis: Dims = None,
) -> Tensor:  # fmt: skip
    """The sum over axes, or of all numbers."""
    x, plan = _typed(self, dtype), _plan(self, axis if dim is None else dim, keepdim)
    found = x.dtype.rounded([_total(group) for group in _groups(x, plan)])
    out = make(found, plan.shape, x.dtype)
    return record(out, "SumBackward1", (x, lambda g: _back_to(g, x, plan)))


def _real(x: Tensor, name: str) -> None:
    if not x.dtype.is_floating_point:
        names = {"int64": "Long", "bool": "Bool", "int32": "Int"}
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point "
            f"or complex dtype. Got: {names.get(x.dtype.name, x.dtype.name)}"
        )


def mean(
    self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None,
    axis: Dims = None,
) -> Tensor:  # fmt: skip
    """The mean over axes, or of all numbers."""
    x, plan = (
        self if dtype is None else cast(self, dtype),
        _plan(self, axis if dim is None else dim, keepdim),
    )
    _real(x, "mean")
    n, kind = plan.count, x.dtype
    sums = kind.rounded([_total(group) for group in _groups(x, plan)])
    out = make(kind.rounded([s / n if n else math.nan for s in sums]), plan.shape, kind)
    return record(out, "MeanBackward1", (x, lambda g: _back_to(g / n, x, plan)))


def _spread(
    x: Tensor, dim: Dims, correction: float, keepdim: bool, root: bool, name: str
) -> Tensor:
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"{name} only support floating point and complex dtypes")
    plan = _plan(x, dim, keepdim)
    n, found = plan.count, []
    for group in _groups(x, plan):
        middle = _total(group) / n if n else math.nan
        squares = _total([(v - middle) ** 2 for v in group])
        rest = builtins.max(n - correction, 0)
        value = (
            squares / rest
            if rest
            else (math.nan if squares == 0 or squares != squares else math.inf)
        )
        found.append(math.sqrt(value) if root and value == value else value)
    out = make(x.dtype.rounded(found), plan.shape, x.dtype)
    rest = n - correction

    def rule(g: Tensor) -> Tensor:
        around = x - x.mean(plan.dims, keepdim=True) if plan.dims else x * 0.0
        if root:
            g = where(out == 0, 0.0, g / (2 * out)) if rest else g / (2 * out)
        return _back_to(g, x, plan) * around * (2 / rest if rest else math.nan)

    return record(out, "StdBackward0" if root else "VarBackward0", (x, rule, (x,)))


def _correction(dim: object, unbiased: object, correction: float | None) -> tuple[Dims, float]:
    """Axes and what is taken off the count, whichever way they are given."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is not None:
        return dim, correction
    return dim, 0 if unbiased is False else 1


def var(
    self: Tensor, dim: object = None, unbiased: object = None, keepdim: bool = False, *,
    correction: float | None = None, axis: Dims = None,
) -> Tensor:  # fmt: skip
    """The variance: squared distances to the mean, over the count less the correction."""
    dims, off = _correction(axis if dim is None else dim, unbiased, correction)
    return _spread(self, dims, off, keepdim, False, "var")


def std(
    self: Tensor, dim: object = None, unbiased: object = None, keepdim: bool = False, *,
    correction: float | None = None, axis: Dims = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the root of the variance."""
    dims, off = _correction(axis if dim is None else dim, unbiased, correction)
    return _spread(self, dims, off, keepdim, True, "std")


def var_mean(self: Tensor, dim: Dims = None, unbiased: object = None, **options: object) -> tuple:
    """Variance and mean."""
    keep = options.get("keepdim", False)
    return var(self, dim, unbiased, **options), mean(self, dim, keepdim=keep)


def std_mean(self: Tensor, dim: Dims = None, unbiased: object = None, **options: object) -> tuple:
    """Standard deviation and mean."""
    keep = options.get("keepdim", False)
    return std(self, dim, unbiased, **options), mean(self, dim, keepdim=keep)


def prod(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The product over an axis, or of all numbers."""
    x, plan = _typed(self, None), _plan(self, dim, keepdim)
    found = x.dtype.rounded([math.prod(group) for group in _groups(x, plan)])
    out = make(found, plan.shape, x.dtype)
    return record(out, "ProdBackward1", (x, lambda g: _back_to(g * out, x, plan) / x, (x,)))


def _truth(self: Tensor, dim: Dims, keepdim: bool, test: Callable) -> Tensor:
    plan = _plan(self, dim, keepdim)
    return make([bool(test(group)) for group in _groups(self, plan)], plan.shape, dtypes.bool_)


def all(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all are true."""
    return _truth(self, dim, keepdim, builtins.all)


def any(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether one is true."""
    return _truth(self, dim, keepdim, builtins.any)


class _Pair(tuple):
    """Values and where they stand."""

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


def _best(group: list, largest: bool) -> int:
    """The first place of the extreme; nan wins."""
    for i, value in enumerate(group):
        if value != value:
            return i
    return group.index(builtins.max(group) if largest else builtins.min(group))


def _places(x: Tensor, plan: _Plan, largest: bool) -> list[int]:
    if not plan.count:
        raise IndexError("Expected reduction dim to have non-zero size.")
    return [_best(group, largest) for group in _groups(x, plan)]


def _flat_places(x: Tensor, plan: _Plan, places: list[int]) -> list[int]:
    """Places within each group as places in reading order."""
    from .layout import dense

    order = [i for i in range(x.dim()) if i not in plan.dims] + list(plan.dims)
    at = positions(dense(x.shape).permuted(order))
    return [at[i * plan.count + place] for i, place in enumerate(places)]


def _extreme(self: Tensor, dim: int | None, keepdim: bool, largest: bool) -> object:
    if dim is None and not self.dim():
        return self.clone()
    plan = _plan(self, dim, keepdim)
    places = _places(self, plan, largest)
    if dim is None:
        return _shared_extreme(self, plan, largest)
    values = gather(self, _flat_places(self, plan, places), plan.shape)
    return _Pair((values, make(places, plan.shape, dtypes.int64)))


def _shared_extreme(x: Tensor, plan: _Plan, largest: bool) -> Tensor:
    """The extreme of each group; equal ones share its gradient."""
    groups = _groups(x, plan)
    found = [group[_best(group, largest)] for group in groups]
    out = make(found, plan.shape, x.dtype)

    def rule(g: Tensor) -> Tensor:
        same = cast(x == _back_to(out, x, plan), x.dtype)
        return _back_to(g, x, plan) * same / sum(same, list(plan.dims), keepdim=True)

    return record(out, "MaxBackward1" if largest else "MinBackward1", (x, rule, (x,)))


def max(self: Tensor, dim: object = None, keepdim: bool = False, *, axis: Dims = None) -> object:
    """The largest number; with an axis, values and their places; of two tensors, each larger."""
    from .elementwise import METHODS as BY_NUMBER

    if isinstance(dim, Tensor):
        return BY_NUMBER["maximum"](self, dim)
    return _extreme(self, axis if dim is None else dim, keepdim, True)


def min(self: Tensor, dim: object = None, keepdim: bool = False, *, axis: Dims = None) -> object:
    """The smallest number; with an axis, values and their places; of two tensors, each smaller."""
    from .elementwise import METHODS as BY_NUMBER

    if isinstance(dim, Tensor):
        return BY_NUMBER["minimum"](self, dim)
    return _extreme(self, axis if dim is None else dim, keepdim, False)


def amax(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest number over axes."""
    return _shared_extreme(self, _plan(self, dim, keepdim), True)


def amin(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest number over axes."""
    return _shared_extreme(self, _plan(self, dim, keepdim), False)


def aminmax(self: Tensor, *, dim: int | None = None, keepdim: bool = False) -> tuple:
    """Smallest and largest number."""
    return amin(self, dim, keepdim), amax(self, dim, keepdim)


def argmax(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest number stands."""
    plan = _plan(self, dim, keepdim)
    return make(_places(self, plan, True), plan.shape, dtypes.int64)


def argmin(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the smallest number stands."""
    plan = _plan(self, dim, keepdim)
    return make(_places(self, plan, False), plan.shape, dtypes.int64)


def _ordered(values: list, descending: bool) -> list[int]:
    key = [math.inf if v != v else v for v in values]
    return sorted(range(len(values)), key=key.__getitem__, reverse=descending)


def sort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> _Pair:
    """The numbers along an axis in order, and where each stood."""
    last = self.movedim(dim, -1) if self.dim() else self
    n = last.shape[-1] if last.dim() else 1
    values = last.values()
    rows = [values[i : i + n] for i in range(0, len(values), n or 1)]
    places = [place for row in rows for place in _ordered(row, descending)]
    at = [i // n * n + place for i, place in enumerate(places)]
    found = gather(last, at, last.shape), make(places, last.shape, dtypes.int64)
    return _Pair(each.movedim(-1, dim) if self.dim() else each for each in found)


def argsort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Where the numbers along an axis stand, in order."""
    return sort(self, dim, descending)[1]


def topk(self: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> _Pair:
    """The k largest numbers along an axis, and where they stand."""
    found = sort(self, dim, descending=largest)
    return _Pair(each.narrow(dim, 0, k) for each in found)


def median(self: Tensor, dim: int | None = None, keepdim: bool = False) -> object:
    """The lower of the two middle numbers; with an axis, also where it stands."""
    plan = _plan(self, dim, keepdim)
    places = [_ordered(g, False)[(plan.count - 1) // 2] for g in _groups(self, plan)]
    values = gather(self, _flat_places(self, plan, places), plan.shape)
    return values if dim is None else _Pair((values, make(places, plan.shape, dtypes.int64)))


def quantile(self: Tensor, q: object, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Numbers below which given shares lie, by straight lines between neighbors."""
    shares = q.tolist() if isinstance(q, Tensor) else q
    plan = _plan(self, dim, keepdim)
    groups = [builtins.sorted(group) for group in _groups(self, plan)]

    def at(share: float) -> list:
        place = share * (plan.count - 1)
        low = math.floor(place)
        return [g[low] + (g[math.ceil(place)] - g[low]) * (place - low) for g in groups]

    several = isinstance(shares, list)
    found = [v for share in (shares if several else [shares]) for v in at(share)]
    shape = Size((len(shares),) if several else ()) + plan.shape
    return make(self.dtype.rounded(found), shape, self.dtype)


def cumsum(self: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """Running sums along an axis."""
    x = _typed(self, dtype)
    last = x.movedim(dim, -1)
    n, values, found, total = last.shape[-1], last.values(), [], 0
    for i, value in enumerate(values):
        total = value if i % n == 0 else total + value
        found.append(total)
    out = make(x.dtype.rounded(found), last.shape, x.dtype)

    def rule(g: Tensor) -> Tensor:
        return cumsum(g.flip(-1), -1).flip(-1)

    return record(out, "CumsumBackward0", (last, rule)).movedim(-1, dim)


def norm(self: Tensor, p: object = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The length of a vector, or another norm of it."""
    _real(self, "norm")
    if p in (2, "fro", None, 2.0):
        squares = sum(
            self.double().square() if self.dtype.rank < 3 else self.square(), dim, keepdim
        )
        length = cast(squares.sqrt(), self.dtype)
        return length
    if p in (math.inf, "inf"):
        return amax(self.abs(), dim, keepdim)
    return sum(self.abs().pow(p), dim, keepdim).pow(1 / p)


def logsumexp(self: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """The logarithm of a sum of exponentials."""
    top = amax(self.detach(), dim, keepdim=True)
    found = sum((self - top).exp(), dim, keepdim=True).log() + top
    return found if keepdim else found.reshape(_plan(self, dim, False).shape)


def log_softmax(self: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """Logarithms of shares that add up to one."""
    x = self if dtype is None else cast(self, dtype)
    shifted = x - amax(x.detach(), dim, keepdim=True)
    return shifted - sum(shifted.exp(), dim, keepdim=True).log()


def softmax(self: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """Shares that add up to one."""
    x = self if dtype is None else cast(self, dtype)
    powers = (x - amax(x.detach(), dim, keepdim=True)).exp()
    return powers / sum(powers, dim, keepdim=True)


def unique(self: Tensor, sorted: bool = True, **_options: object) -> Tensor:
    """The different numbers, in order."""
    found = builtins.sorted(set(self.values()))
    return make(found, (len(found),), self.dtype)


def count_nonzero(self: Tensor, dim: Dims = None) -> Tensor:
    """How many numbers are not 0."""
    return sum(self != 0, dim)


METHODS = {
    name: globals()[name]
    for name in (
        *("sum", "mean", "var", "std", "var_mean", "std_mean", "prod", "all", "any", "max", "min"),
        *("amax", "amin", "aminmax", "argmax", "argmin", "sort", "argsort", "topk", "median"),
        *("quantile", "cumsum", "norm", "logsumexp", "log_softmax", "softmax", "unique"),
        *("count_nonzero",),
    )
}
