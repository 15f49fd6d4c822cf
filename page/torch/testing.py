"""Comparisons for tests."""

from __future__ import annotations

from .elementwise import cast, isclose
from .tensor import Tensor

__all__ = ["assert_close"]

TOLERANCES = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7), "float16": (1e-3, 1e-5)}


def assert_close(
    actual: object, expected: object, *, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_dtype: bool = True, msg: str | None = None,
) -> None:  # fmt: skip
    """AssertionError where numbers differ by more than rounding."""
    from .creation import as_tensor

    a, b = as_tensor(actual), as_tensor(expected)
    if a.shape != b.shape:
        raise AssertionError(
            f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}."
        )
    if check_dtype and isinstance(actual, Tensor) and a.dtype is not b.dtype:
        raise AssertionError(
            f"The values for attribute 'dtype' do not match: {a.dtype} != {b.dtype}."
        )
    b = cast(b, a.dtype)
    usual = TOLERANCES.get(a.dtype.name, (0.0, 0.0))
    rtol, atol = usual[0] if rtol is None else rtol, usual[1] if atol is None else atol
    near = isclose(a, b, rtol, atol, equal_nan)
    wrong = [i for i, good in enumerate(near.values()) if not good]
    if wrong:
        apart = max(abs(a.values()[i] - b.values()[i]) for i in wrong)
        raise AssertionError(
            msg
            or f"Tensor-likes are not close!\n\nMismatched elements: {len(wrong)} / {a.numel()} "
            f"({100 * len(wrong) / a.numel():.1f}%)\nGreatest absolute difference: {apart} "
            f"(up to {atol} allowed)"
        )
