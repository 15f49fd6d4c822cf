"""Operations number by number: arithmetic with broadcasting, functions, comparisons, `where`.

Each is computed in double precision and rounded to the dtype, which is how a single operation of
float32 rounds, too.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable

from . import dtypes
from .autograd.engine import record
from .dtypes import dtype
from .layout import Size, broadcast, positions
from .tensor import Tensor, make, scalar, written

__all__ = [
    "IN_PLACE",
    "METHODS",
    "OPERATORS",
    "broadcast_to",
    "cast",
    "into",
    "operand",
    "quotient",
    "sum_to",
    "where",
]

Number = float | int | bool


def operand(value: object, other: Tensor | None = None) -> Tensor:
    """A tensor or number as an operand; TypeError where it is neither."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (int, float)):
        return scalar(value, other.dtype if other is not None else None)
    raise TypeError(f"expected a Tensor or a number, got {type(value).__name__}")


def _tensor(name: str, value: object) -> Tensor:
    """An operand of a function that takes no plain numbers in its place."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): an argument must be Tensor, not {type(value).__name__}")
    return value


def _kind(*tensors: Tensor) -> dtype:
    first = tensors[0].dtype
    if all(t.dtype is first for t in tensors):
        return first
    return dtypes.promote([(t.dtype, None if t._number else t.shape) for t in tensors])


def _spread(x: Tensor, shape: Size) -> list:
    """The numbers of a tensor, repeated to a shape."""
    if x.shape == shape:
        return x.values()
    if x.numel() == 1:
        return x.values() * math.prod(shape)
    held = x._storage.values
    return [held[i] for i in positions(x.layout_.expanded(shape))]


def sum_to(grad: Tensor, shape: Size) -> Tensor:
    """A gradient summed over the axes along which its operand was repeated."""
    if grad.shape == shape:
        return grad
    added = grad.dim() - len(shape)
    dims = [i for i in range(grad.dim()) if i < added or shape[i - added] != grad.shape[i]]
    if dims:
        grad = grad.sum(dims, keepdim=True)
    return grad.reshape(shape)


def broadcast_to(x: Tensor, shape: Size) -> Tensor:
    """The numbers of a tensor, repeated to a shape, as a new tensor."""
    if x.shape == shape:
        return x
    size = x.shape
    out = make(list(_spread(x, shape)), shape, x.dtype)
    return record(out, "ExpandBackward0", (x, lambda g: sum_to(g, size)))


def cast(x: Tensor, kind: dtype) -> Tensor:
    """The numbers in another dtype; the tensor itself where it has that dtype."""
    if x.dtype is kind:
        return x
    before = x.dtype
    out = make(kind.rounded(x.values()), x.shape, kind)
    out._number = x._number
    return record(out, "ToCopyBackward0", (x, lambda g: cast(g, before)))


def _pairwise(function: Callable, a: Tensor, b: Tensor, kind: dtype) -> Tensor:
    shape = a.shape if a.shape == b.shape else broadcast(a.shape, b.shape)
    found = list(map(function, _spread(a, shape), _spread(b, shape)))
    return make(kind.rounded(found), shape, kind)


def _both(a: object, b: object) -> tuple[Tensor, Tensor, dtype]:
    a = operand(a, b if isinstance(b, Tensor) else None)
    b = operand(b, a)
    kind = _kind(a, b)
    return cast(a, kind), cast(b, kind), kind


def add(self: object, other: object, *, alpha: Number = 1, out: Tensor | None = None) -> Tensor:
    """The sum."""
    if alpha != 1:
        other = mul(other, alpha)
    a, b, kind = _both(self, other)
    made = record(
        _pairwise(operator.add, a, b, kind), "AddBackward0",
        (a, lambda g: sum_to(g, a.shape)), (b, lambda g: sum_to(g, b.shape)),
    )  # fmt: skip
    return into(out, made)


def _no_truths(value: object) -> object:
    """An operand of a subtraction, of which PyTorch takes no truth values."""
    if value is True or value is False or getattr(value, "dtype", None) is dtypes.bool_:
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported.")
    return value


def sub(self: object, other: object, *, alpha: Number = 1, out: Tensor | None = None) -> Tensor:
    """The difference."""
    if alpha != 1:
        other = mul(other, alpha)
    a, b, kind = _both(_no_truths(self), _no_truths(other))
    made = record(
        _pairwise(operator.sub, a, b, kind), "SubBackward0",
        (a, lambda g: sum_to(g, a.shape)), (b, lambda g: sum_to(-g, b.shape)),
    )  # fmt: skip
    return into(out, made)


def mul(self: object, other: object, *, out: Tensor | None = None) -> Tensor:
    """The product."""
    a, b, kind = _both(self, other)
    made = record(
        _pairwise(operator.mul, a, b, kind), "MulBackward0",
        (a, lambda g: sum_to(g * b, a.shape), (b,)), (b, lambda g: sum_to(g * a, b.shape), (a,)),
    )  # fmt: skip
    return into(out, made)


def into(out: Tensor | None, made: Tensor) -> Tensor:
    """What `out=` asks for: the result in a tensor that is there."""
    from .tensor import write

    return made if out is None else write(out, made)


def quotient(a: float, b: float) -> float:
    """The quotient of two numbers, as a processor has it where the second is 0."""
    try:
        return a / b
    except ZeroDivisionError:
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)


def div(self: object, other: object, *, rounding_mode: str | None = None) -> Tensor:
    """The quotient; rounded down with "floor", towards 0 with "trunc"."""
    a, b, kind = _both(self, other)
    if rounding_mode == "floor":
        return floor_divide(a, b)
    if rounding_mode == "trunc":
        return div(a, b).trunc()
    if not kind.is_floating_point:
        kind = dtypes.default.kind
        a, b = cast(a, kind), cast(b, kind)
    out = _pairwise(quotient, a, b, kind)
    return record(
        out, "DivBackward0",
        (a, lambda g: sum_to(g / b, a.shape), (b,)),
        (b, lambda g: sum_to(-g * a / (b * b), b.shape), (a, b)),
    )  # fmt: skip


def _down(a: float, b: float) -> float:
    if b == 0:
        return math.floor(a) if isinstance(a, int) else quotient(a, b)
    return a // b


def _rest(a: float, b: float) -> float:
    if b == 0:
        return math.nan
    return a % b if not math.isinf(a) else math.nan


def _numbers_only(name: str, kind: dtype) -> None:
    if kind is dtypes.bool_:
        raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")


def _divisible(name: str, kind: dtype, b: Tensor) -> None:
    _numbers_only(name, kind)
    if not kind.is_floating_point and 0 in b.values():
        raise RuntimeError("ZeroDivisionError")


def floor_divide(self: object, other: object) -> Tensor:
    """The quotient rounded down."""
    a, b, kind = _both(self, other)
    _divisible("div_floor_cpu", kind, b)
    return _pairwise(_down, a, b, kind)


def remainder(self: object, other: object) -> Tensor:
    """What is left of a division, with the sign of the divisor."""
    a, b, kind = _both(self, other)
    _divisible("remainder_cpu", kind, b)
    out = _pairwise(_rest, a, b, kind)
    return record(out, "RemainderBackward0", (a, lambda g: sum_to(g, a.shape)))


def _signed_rest(a: float, b: float) -> float:
    if isinstance(a, int):
        return abs(a) % abs(b) * (-1 if a < 0 else 1)
    return math.nan if b == 0 or math.isinf(a) else math.fmod(a, b)


def fmod(self: Tensor, other: object) -> Tensor:
    """What is left of a division, with the sign of the dividend."""
    a, b, kind = _both(_tensor("fmod", self), other)
    _divisible("fmod_cpu", kind, b)
    out = _pairwise(_signed_rest, a, b, kind)
    return record(out, "FmodBackward0", (a, lambda g: sum_to(g, a.shape)))


def _power(a: float, b: float) -> float:
    if isinstance(a, int) and isinstance(b, int):
        return a**b if b >= 0 else a ** (b % 2) if abs(a) == 1 else 0
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        return math.nan if a != 0 else math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def pow(self: object, exponent: object) -> Tensor:
    """A power."""
    a, b, kind = _both(self, exponent)
    if not b._number:
        _numbers_only("pow", kind)
    if not kind.is_floating_point and any(v < 0 for v in b.values()) and b._number:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    out = _pairwise(_power, a, b, kind)

    def of_base(g: Tensor) -> Tensor:
        slope = where(b == 0, 0.0, b * pow(a, b - 1))
        return sum_to(g * slope, a.shape)

    def of_exponent(g: Tensor) -> Tensor:
        slope = where((a == 0) & (b >= 0), 0.0, pow(a, b) * a.log())
        return sum_to(g * slope, b.shape)

    return record(out, "PowBackward0", (a, of_base, (a,)), (b, of_exponent, (a, b)))


def _larger(a: float, b: float) -> float:
    return a if a != a or a > b else b


def _smaller(a: float, b: float) -> float:
    return a if a != a or a < b else b


def _choice(name: str, function: Callable) -> Callable:
    def chosen(self: object, other: object) -> Tensor:
        a, b, kind = _both(_tensor(name, self), _tensor(name, other))
        out = _pairwise(function, a, b, kind)

        def rule(mine: Tensor, other: Tensor) -> Callable:
            def share(g: Tensor) -> Tensor:
                best = function is _larger
                wins = mine > other if best else mine < other
                part = where(wins, 1.0, where(mine == other, 0.5, 0.0))
                return sum_to(g * part, mine.shape)

            return share

        return record(
            out, f"{name.capitalize()}Backward0", (a, rule(a, b), (a, b)), (b, rule(b, a), (a, b))
        )

    chosen.__name__ = name
    chosen.__doc__ = f"The {name} of each two numbers."
    return chosen


maximum, minimum = _choice("maximum", _larger), _choice("minimum", _smaller)


def _compared(name: str, function: Callable) -> Callable:
    def compare(self: object, other: object) -> Tensor:
        a, b, _ = _both(_tensor(name, self), other)
        return _pairwise(function, a, b, dtypes.bool_)

    compare.__name__ = name
    compare.__doc__ = f"Where the first is {name} the second."
    return compare


eq, ne = _compared("eq", operator.eq), _compared("ne", operator.ne)
lt, le = _compared("lt", operator.lt), _compared("le", operator.le)
gt, ge = _compared("gt", operator.gt), _compared("ge", operator.ge)


def _equal(self: Tensor, other: object) -> Tensor | bool:
    return eq(self, other) if isinstance(other, (Tensor, int, float)) else False


def _unequal(self: Tensor, other: object) -> Tensor | bool:
    return ne(self, other) if isinstance(other, (Tensor, int, float)) else True


def _unchanged(self: Tensor) -> Tensor:
    if self.dtype is dtypes.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return self


def _bitwise(name: str, function: Callable) -> Callable:
    def combine(self: object, other: object) -> Tensor:
        a, b, kind = _both(self, other)
        if kind.is_floating_point:
            raise NotImplementedError(f"\"bitwise_{name}_cpu\" not implemented for 'Float'")
        return _pairwise(function, a, b, kind)

    combine.__doc__ = f"Bit by bit: {name}."
    return combine


bitwise_and = _bitwise("and", operator.and_)
bitwise_or = _bitwise("or", operator.or_)
bitwise_xor = _bitwise("xor", operator.xor)


def _logical(name: str, function: Callable) -> Callable:
    def combine(self: object, other: object) -> Tensor:
        a, b = (cast(_tensor(name, each), dtypes.bool_) for each in (self, other))
        return _pairwise(function, a, b, dtypes.bool_)

    combine.__doc__ = "Of truth values."
    return combine


logical_and = _logical("logical_and", operator.and_)
logical_or = _logical("logical_or", operator.or_)
logical_xor = _logical("logical_xor", operator.xor)


def logical_not(self: Tensor) -> Tensor:
    """Where a number is 0."""
    return make([not value for value in self.values()], self.shape, dtypes.bool_)


def bitwise_not(self: Tensor) -> Tensor:
    """Bit by bit, or of truth values: not."""
    if self.dtype is dtypes.bool_:
        return logical_not(self)
    if self.dtype.is_floating_point:
        raise TypeError("~ is only implemented on integer and Boolean-type tensors")
    return make([~value for value in self.values()], self.shape, self.dtype)


def where(condition: Tensor, self: object = None, other: object = None) -> object:
    """One number or the other; with the condition alone, the places where it holds."""
    if self is None:
        return condition.nonzero(as_tuple=True)
    a, b, kind = _both(self, other)
    shape = broadcast(condition.shape, broadcast(a.shape, b.shape))
    picks, ours, theirs = (_spread(x, shape) for x in (condition, a, b))
    out = make([x if c else y for c, x, y in zip(picks, ours, theirs, strict=True)], shape, kind)
    return record(
        out, "WhereBackward0",
        (a, lambda g: sum_to(where(condition, g, 0.0), a.shape)),
        (b, lambda g: sum_to(where(condition, 0.0, g), b.shape)),
    )  # fmt: skip


def clamp(self: Tensor, min: object = None, max: object = None) -> Tensor:
    """Every number brought between two bounds."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    x = self
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        x = x if min is None else maximum(x, operand(min, x))
        return x if max is None else minimum(x, operand(max, x))
    low = -math.inf if min is None else min
    high = math.inf if max is None else max
    kind = _kind(x, *(operand(v, x) for v in (min, max) if v is not None))
    x = cast(x, kind)
    values = [v if v != v else high if high < low or v > high else low if v < low else v
              for v in x.values()]  # fmt: skip
    out = make(kind.rounded(values), x.shape, kind)
    return record(
        out, "ClampBackward1", (x, lambda g: where((x >= low) & (x <= high), g, 0.0), (x,))
    )


def lerp(self: Tensor, end: Tensor, weight: object) -> Tensor:
    """The way from one number to another, as far as the weight says."""
    if self.dtype is not end.dtype:
        raise RuntimeError(f"expected dtype {self.dtype} for `end`, but got dtype {end.dtype}")
    a, b, w = self, end, operand(weight, self)
    kind = a.dtype
    shape = broadcast(broadcast(a.shape, b.shape), w.shape)
    triples = zip(_spread(a, shape), _spread(b, shape), _spread(w, shape), strict=True)
    found = [x + t * (y - x) if t < 0.5 else y - (y - x) * (1 - t) for x, y, t in triples]
    out = make(kind.rounded(found), shape, kind)
    return record(
        out, "LerpBackward0",
        (a, lambda g: sum_to(g * (1 - w), a.shape)),
        (b, lambda g: sum_to(g * w, b.shape)),
        (w, lambda g: sum_to(g * (b - a), w.shape), (a, b)),
    )  # fmt: skip


def addcmul(
    self: Tensor, a: Tensor, b: Tensor, *, value: Number = 1, out: Tensor | None = None
) -> Tensor:
    """A sum with a product."""
    product = mul(a, b)
    return into(out, add(self, product if value == 1 else mul(product, value)))


def addcdiv(self: Tensor, a: Tensor, b: Tensor, *, value: Number = 1) -> Tensor:
    """A sum with a quotient."""
    quotient = div(a, b)
    return add(self, quotient if value == 1 else mul(quotient, value))


def hypot(self: Tensor, other: Tensor) -> Tensor:
    """The length of the hypotenuse."""
    return (self.square() + other.square()).sqrt()


def atan2(self: Tensor, other: Tensor) -> Tensor:
    """The angle of a point."""
    a, b, kind = _both(_tensor("atan2", self), _tensor("atan2", other))
    if not kind.is_floating_point:
        kind = dtypes.default.kind
        a, b = cast(a, kind), cast(b, kind)
    out = _pairwise(math.atan2, a, b, kind)
    return record(
        out, "Atan2Backward0",
        (a, lambda g: sum_to(g * b / (a * a + b * b), a.shape), (a, b)),
        (b, lambda g: sum_to(-g * a / (a * a + b * b), b.shape), (a, b)),
    )  # fmt: skip


def _nearness(rtol: float, atol: float, equal_nan: bool) -> Callable[[float, float], bool]:
    """Whether two numbers are nearly equal."""

    def near(x: float, y: float) -> bool:
        if x == y:
            return True
        if x != x or y != y:
            return equal_nan and x != x and y != y
        return (
            not math.isinf(x)
            and not math.isinf(y)
            and math.fabs(x - y) <= atol + rtol * math.fabs(y)
        )

    return near


def isclose(
    self: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Where two numbers are nearly equal."""
    return _pairwise(_nearness(rtol, atol, equal_nan), self, other, dtypes.bool_)


def allclose(
    self: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all numbers are nearly equal."""
    if self.dtype is not other.dtype:
        raise RuntimeError(f"{self.dtype} did not match {other.dtype}")
    if self.shape != other.shape:
        return all_of(isclose(self, other, rtol, atol, equal_nan))
    return all_of(map(_nearness(rtol, atol, equal_nan), self.values(), other.values()))


def all_of(x: Tensor | Iterable[bool]) -> bool:
    """Whether all truth values hold; the first that does not ends it."""
    from builtins import all as every

    return every(x.values() if isinstance(x, Tensor) else x)


def equal(self: Tensor, other: Tensor) -> bool:
    """Whether shapes and all numbers are equal."""
    return self.shape == other.shape and list(self.values()) == list(other.values())


def _backwards(function: Callable) -> Callable:
    return lambda self, other: function(other, self)


def _guarded(function: Callable) -> Callable:
    """An operator: what it cannot combine it leaves to the other side."""

    def apply(self: Tensor, other: object) -> object:
        if not isinstance(other, (Tensor, int, float)):
            return NotImplemented
        return function(self, other)

    return apply


METHODS = {
    name: globals()[name]
    for name in (
        *("add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "maximum", "minimum"),
        *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
        *("logical_not", "bitwise_and", "bitwise_or", "bitwise_not", "bitwise_xor", "clamp"),
        *("lerp", "addcmul", "addcdiv", "hypot", "atan2", "isclose", "allclose", "equal"),
    )
}
METHODS |= {
    "multiply": mul, "subtract": sub, "divide": div, "true_divide": div, "clip": clamp,
    "fmod": fmod, "greater": gt, "less": lt, "not_equal": ne, "greater_equal": ge, "less_equal": le,
}  # fmt: skip
OPERATORS = {
    name: _guarded(function)
    for name, function in {
        "__add__": add, "__radd__": add, "__sub__": sub, "__rsub__": _backwards(sub),
        "__mul__": mul, "__rmul__": mul, "__truediv__": div, "__rtruediv__": _backwards(div),
        "__pow__": pow, "__rpow__": _backwards(pow), "__floordiv__": floor_divide,
        "__rfloordiv__": _backwards(floor_divide), "__mod__": remainder,
        "__rmod__": _backwards(remainder), "__and__": bitwise_and, "__rand__": bitwise_and,
        "__or__": bitwise_or, "__ror__": bitwise_or, "__xor__": bitwise_xor,
        "__rxor__": bitwise_xor, "__lt__": lt, "__le__": le, "__gt__": gt, "__ge__": ge,
    }.items()
}  # fmt: skip
OPERATORS |= {
    "__eq__": _equal, "__ne__": _unequal, "__invert__": bitwise_not, "__pos__": _unchanged,
}  # fmt: skip
IN_PLACE = {
    f"{name}_": written(f"{name}_", METHODS[name])
    for name in (
        *("add", "sub", "mul", "div", "pow", "clamp", "lerp", "addcmul", "addcdiv", "remainder"),
        *("floor_divide", "clip", "logical_not", "fmod", "atan2"),
        *("eq", "ne", "lt", "le", "gt", "ge"),
        *("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"),
    )
}
OPERATORS |= {
    "__iadd__": IN_PLACE["add_"], "__isub__": IN_PLACE["sub_"], "__imul__": IN_PLACE["mul_"],
    "__itruediv__": IN_PLACE["div_"], "__ipow__": IN_PLACE["pow_"],
    "__ifloordiv__": IN_PLACE["floor_divide_"], "__imod__": IN_PLACE["remainder_"],
    "__iand__": IN_PLACE["bitwise_and_"], "__ior__": IN_PLACE["bitwise_or_"],
    "__ixor__": IN_PLACE["bitwise_xor_"],
}  # fmt: skip
