"""Kinds of numbers, how each rounds, and which one a result has."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable, Sequence

from .layout import Size

__all__ = [
    "bfloat16",
    "bool_",
    "default",
    "dtype",
    "finfo",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "int8",
    "int16",
    "int32",
    "int64",
    "of_value",
    "promote",
    "set_default_dtype",
    "uint8",
]  # fmt: skip

BOOL, WHOLE, REAL = range(3)  # kinds, the later one wins


class dtype:  # noqa: N801
    """A kind of number: its name, its kind, its rank among these, and how a list rounds to it."""

    def __init__(self, name: str, kind: int, rank: int, rounded: Callable[[list], list]) -> None:
        self.name, self.kind, self.rank, self.rounded = name, kind, rank, rounded

    @property
    def is_floating_point(self) -> bool:
        """Whether it holds fractions."""
        return self.kind == REAL

    @property
    def is_complex(self) -> bool:
        """There are no complex numbers here."""
        return False

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        digits = "".join(c for c in self.name if c.isdigit())
        return int(digits) // 8 if digits else 1

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name if self.name != "bool" else "bool_"


def _single(values: list) -> list:
    return array("f", values).tolist()


def _half(values: list) -> list:
    def one(value: float) -> float:
        try:
            return struct.unpack("e", struct.pack("e", value))[0]
        except OverflowError:
            return math.copysign(math.inf, value)

    return [one(value) for value in values]


def _brain(values: list) -> list:
    found = []
    for value in _single(values):
        if math.isfinite(value):
            bits = struct.unpack("I", struct.pack("f", value))[0]
            bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000 & 0xFFFFFFFF
            value = struct.unpack("f", struct.pack("I", bits))[0]
        found.append(value)
    return found


def _whole(bits: int, signed: bool) -> Callable[[list], list]:
    low, size = (-(2 ** (bits - 1)) if signed else 0), 2**bits

    def rounded(values: list) -> list:
        return [_to_int(value, low, size) for value in values]

    return rounded


def _to_int(value: float, low: int, size: int) -> int:
    try:
        number = int(value)
    except (ValueError, OverflowError):  # nan and inf: the processor's answer
        return low
    return number if low <= number < low + size else (number - low) % size + low


bool_ = dtype("bool", BOOL, 0, lambda values: [bool(value) for value in values])
uint8 = dtype("uint8", WHOLE, 0, _whole(8, False))
int8 = dtype("int8", WHOLE, 1, _whole(8, True))
int16 = dtype("int16", WHOLE, 2, _whole(16, True))
int32 = dtype("int32", WHOLE, 3, _whole(32, True))
int64 = dtype("int64", WHOLE, 4, _whole(64, True))
float16 = dtype("float16", REAL, 0, _half)
bfloat16 = dtype("bfloat16", REAL, 1, _brain)
float32 = dtype("float32", REAL, 2, _single)
float64 = dtype("float64", REAL, 3, lambda values: [float(value) for value in values])


class _Default:
    """What a fraction is where nothing else is said."""

    kind = float32


default = _Default()


def get_default_dtype() -> dtype:
    """The dtype of fractions where nothing else is said."""
    return default.kind


def set_default_dtype(d: dtype) -> None:
    """Change the dtype of fractions where nothing else is said."""
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}")
    default.kind = d


def of_value(value: bool | int | float) -> dtype:
    """The dtype that a Python number gets."""
    if isinstance(value, bool):
        return bool_
    return int64 if isinstance(value, int) else default.kind


def _larger(a: dtype, b: dtype) -> dtype:
    if a.kind != b.kind:
        return a if a.kind > b.kind else b
    if {a, b} == {float16, bfloat16}:
        return float32
    if {a, b} == {uint8, int8}:
        return int16
    return a if a.rank >= b.rank else b


def promote(operands: Sequence[tuple[dtype, Size | None]]) -> dtype:
    """The dtype of a result: tensors with axes first, then without, then numbers (shape None).

    What comes later counts only where it is of a later kind: a whole tensor times 0.5 is real.
    """
    found = None
    levels = ([], [], [])
    for kind, shape in operands:
        levels[2 if shape is None else 0 if shape else 1].append(kind)
    for level in levels:
        if level:
            best = level[0]
            for other in level[1:]:
                best = _larger(best, other)
            if found is None or best.kind > found.kind:
                found = best
    return found


class finfo:  # noqa: N801
    """Limits of a floating point dtype."""

    def __init__(self, kind: dtype | None = None) -> None:
        kind = kind or default.kind
        bits, top = {
            float64: (52, 1023),
            float32: (23, 127),
            float16: (10, 15),
            bfloat16: (7, 127),
        }[kind]
        self.dtype, self.eps = kind, 2.0**-bits
        self.max = (2 - 2.0**-bits) * 2.0**top
        self.min, self.tiny = -self.max, 2.0 ** (1 - top)
        self.smallest_normal = self.tiny
