"""Functions of one number: roots, logarithms, the sine, rounding."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable

from . import dtypes
from .autograd.engine import record
from .elementwise import cast, into, operand, quotient, where
from .tensor import Tensor, make, scalar, written

__all__ = ["IN_PLACE", "METHODS"]


def _safe(function: Callable, at_edge: Callable[[float], float]) -> Callable:
    """A function of `math` that gives what processors give where `math` raises."""

    def total(value: float) -> float:
        try:
            return function(value)
        except (ValueError, OverflowError):
            return math.nan if value != value else at_edge(value)

    return total


def _log_edge(value: float) -> float:
    return -math.inf if value == 0 else math.nan


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else (e := math.exp(max(x, -750.0))) / (1 + e)


def _sign(x: float) -> float:
    return (x > 0) - (x < 0) if x == x else x


Slope = Callable[[Tensor, Tensor], Tensor]  # of the operand and the result


def _function(name: str, function: Callable, slope: Slope | None, reads: str = "x") -> Callable:
    """A function of one number; whole numbers become real ones."""

    def apply(self: Tensor, *, out: Tensor | None = None) -> Tensor:
        x = operand(self)
        if not x.dtype.is_floating_point:
            x = cast(x, dtypes.default.kind)
        y = make(x.dtype.rounded(list(map(function, x.values()))), x.shape, x.dtype)
        kept = tuple({"x": x, "y": y}[each] for each in reads if each == "x")
        rule = (lambda g: g * 0.0) if slope is None else (lambda g: g * slope(x, y))
        return into(out, record(y, f"{name.capitalize()}Backward0", (x, rule, kept)))

    apply.__name__ = name
    apply.__doc__ = f"The {name} of every number."
    return apply


def _same_kind(name: str, function: Callable, slope: Slope, reads: str = "x") -> Callable:
    """A function that leaves whole numbers whole."""

    def apply(self: Tensor) -> Tensor:
        x = operand(self)
        if x.dtype is dtypes.bool_ and name != "sign":
            raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
        y = make(x.dtype.rounded(list(map(function, x.values()))), x.shape, x.dtype)
        kept = (x,) if "x" in reads else ()
        return record(y, f"{name.capitalize()}Backward0", (x, lambda g: g * slope(x, y), kept))

    apply.__name__ = name
    apply.__doc__ = f"The {name} of every number."
    return apply


def _nothing(x: Tensor, _y: Tensor) -> Tensor:
    return x * 0.0


sqrt = _function("sqrt", _safe(math.sqrt, lambda v: math.nan), lambda x, y: 0.5 / y, "y")
rsqrt = _function(
    "rsqrt", lambda v: quotient(1.0, math.sqrt(v)) if v >= 0 else math.nan,
    lambda x, y: -0.5 * y * y * y, "y",
)  # fmt: skip
exp = _function("exp", _safe(math.exp, lambda v: math.inf), lambda x, y: y, "y")
log = _function("log", _safe(math.log, _log_edge), lambda x, y: 1 / x)
log2 = _function("log2", _safe(math.log2, _log_edge), lambda x, y: 1 / (x * math.log(2)))
log10 = _function("log10", _safe(math.log10, _log_edge), lambda x, y: 1 / (x * math.log(10)))
log1p = _function(
    "log1p", _safe(math.log1p, lambda v: -math.inf if v == -1 else math.nan),
    lambda x, y: 1 / (x + 1),
)  # fmt: skip
expm1 = _function("expm1", _safe(math.expm1, lambda v: math.inf), lambda x, y: y + 1, "y")
sin = _function("sin", _safe(math.sin, lambda v: math.nan), lambda x, y: cos(x))
cos = _function("cos", _safe(math.cos, lambda v: math.nan), lambda x, y: -sin(x))
tan = _function("tan", _safe(math.tan, lambda v: math.nan), lambda x, y: 1 + y * y, "y")
acos = _function("acos", _safe(math.acos, lambda v: math.nan), lambda x, y: -rsqrt(1 - x * x))
asin = _function("asin", _safe(math.asin, lambda v: math.nan), lambda x, y: rsqrt(1 - x * x))
atan = _function("atan", math.atan, lambda x, y: 1 / (1 + x * x))
tanh = _function("tanh", math.tanh, lambda x, y: 1 - y * y, "y")
erf = _function("erf", math.erf, lambda x, y: 2 / math.sqrt(math.pi) * exp(-x * x))
sigmoid = _function("sigmoid", _sigmoid, lambda x, y: y * (1 - y), "y")
deg2rad = _function("deg2rad", math.radians, lambda x, y: scalar(math.pi / 180, x.dtype), "")
rad2deg = _function("rad2deg", math.degrees, lambda x, y: scalar(180 / math.pi, x.dtype), "")
reciprocal = _function("reciprocal", lambda v: quotient(1.0, v), lambda x, y: -y * y, "y")
neg = _same_kind("neg", operator.neg, lambda x, y: scalar(-1, x.dtype), "")
abs = _same_kind("abs", builtins.abs, lambda x, y: sign(x))
sign = _same_kind("sign", _sign, _nothing)
relu = _same_kind(
    "relu", lambda v: v if v > 0 or v != v else 0, lambda x, y: cast(y > 0, x.dtype), ""
)
floor = _same_kind("floor", _safe(math.floor, lambda v: v), _nothing)
ceil = _same_kind("ceil", _safe(math.ceil, lambda v: v), _nothing)
trunc = _same_kind("trunc", _safe(math.trunc, lambda v: v), _nothing)


def round(self: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest whole number, or so many decimals; halves go to even."""
    if self.dtype is dtypes.bool_:
        raise NotImplementedError("\"round_vml_cpu\" not implemented for 'Bool'")
    values = [builtins.round(v, decimals) if math.isfinite(v) else v for v in self.values()]
    out = make(self.dtype.rounded(values), self.shape, self.dtype)
    return record(out, "RoundBackward0", (self, lambda g: g * 0.0))


def square(self: Tensor) -> Tensor:
    """The square of every number; truth values become whole ones."""
    x = operand(self)
    x = cast(x, dtypes.int64) if x.dtype is dtypes.bool_ else x
    y = make(x.dtype.rounded([v * v for v in x.values()]), x.shape, x.dtype)
    return record(y, "PowBackward0", (x, lambda g: g * (2 * x), (x,)))


def _tested(test: Callable, doc: str) -> Callable:
    def apply(self: Tensor) -> Tensor:
        return make([test(value) for value in self.values()], self.shape, dtypes.bool_)

    apply.__doc__ = doc
    return apply


isnan = _tested(math.isnan, "Where a number is nan.")
isinf = _tested(math.isinf, "Where a number is infinite.")
isfinite = _tested(math.isfinite, "Where a number is finite.")


def nan_to_num(
    self: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Other numbers in place of nan and infinity."""
    if not self.dtype.is_floating_point:
        return self.clone()
    limits = dtypes.finfo(self.dtype)
    high, low = (
        (limits.max if posinf is None else posinf),
        (limits.min if neginf is None else neginf),
    )
    values = [
        nan if v != v else high if v == math.inf else low if v == -math.inf else v
        for v in self.values()
    ]
    out = make(self.dtype.rounded(values), self.shape, self.dtype)
    return record(
        out, "NanToNumBackward0", (self, lambda g: where(isfinite(self), g, 0.0), (self,))
    )


METHODS = {
    name: globals()[name]
    for name in (
        *("sqrt", "rsqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "sin", "cos", "tan"),
        *("acos", "asin", "atan", "tanh", "erf", "sigmoid", "reciprocal", "neg", "abs", "sign"),
        *("square", "relu", "floor", "ceil", "trunc", "round", "isnan", "isinf", "isfinite"),
        *("nan_to_num", "deg2rad", "rad2deg"),
    )
}
METHODS |= {"negative": neg, "absolute": METHODS["abs"], "__neg__": neg, "__abs__": abs}
IN_PLACE = {
    f"{name}_": written(f"{name}_", METHODS[name])
    for name in (
        *("sqrt", "rsqrt", "exp", "log", "neg", "abs", "square", "relu", "nan_to_num", "round"),
        *("floor", "ceil", "tanh", "sigmoid", "reciprocal", "sin", "cos"),
    )
}
