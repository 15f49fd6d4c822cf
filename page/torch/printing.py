"""How a tensor prints: as PyTorch prints it."""

from __future__ import annotations

import math

from . import dtypes
from .tensor import Tensor

__all__ = ["METHODS", "set_printoptions"]

_SUMMARY, _EDGE = 1000, 3


class _Options:
    precision, scientific, width = 4, None, 80


def set_printoptions(
    precision: int | None = None, sci_mode: bool | None = None, linewidth: int | None = None,
    **_options: object,
) -> None:  # fmt: skip
    """Change how many digits are printed, and whether as powers of ten."""
    _Options.precision = _Options.precision if precision is None else precision
    _Options.scientific = _Options.scientific if sci_mode is None else sci_mode
    _Options.width = _Options.width if linewidth is None else linewidth


class _Format:
    """One width and one style for all numbers of a tensor."""

    def __init__(self, values: list, real: bool) -> None:
        self.real = real
        self.width, self.style = 1, "d"
        finite = [abs(v) for v in values if math.isfinite(v) and v != 0] if real else []
        if real:
            self.style = self._style(finite, values)
        self.width = max((len(self.plain(v)) for v in values), default=1)

    def _style(self, finite: list[float], values: list) -> str:
        digits = _Options.precision
        if not finite:
            return "f0"
        low, high = min(finite), max(finite)
        whole = all(v == math.ceil(v) for v in finite)
        wide = high / low > 1000 or high > 1e8 or (not whole and low < 1e-4)
        if _Options.scientific is not None:
            wide = _Options.scientific
        if whole and not (high / low > 1000 or high > 1e8) and not _Options.scientific:
            return "f0"
        return f"{digits}e" if wide else f"{digits}f"

    def plain(self, value: object) -> str:
        """One number without padding."""
        if not self.real:
            return str(value)
        if not math.isfinite(value):
            return str(value)
        return f"{value:.0f}." if self.style == "f0" else f"{value:.{self.style}}"

    def __call__(self, value: object) -> str:
        return self.plain(value).rjust(self.width)


def _rows(data: list, depth: int, form: _Format, indent: int, short: bool) -> str:
    count = len(data)
    if depth == 1:
        per_line = max(1, (_Options.width - indent) // (form.width + 2))
        cells = [form(v) for v in data]
        if short and count > 2 * _EDGE:
            cells = [*cells[:_EDGE], "...", *cells[-_EDGE:]]
        lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = [_rows(part, depth - 1, form, indent + 1, short) for part in data]
    if short and count > 2 * _EDGE:
        parts = [*parts[:_EDGE], "...", *parts[-_EDGE:]]
    return "[" + ("," + "\n" * (depth - 1) + " " * (indent + 1)).join(parts) + "]"


def represent(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """What `print` shows."""
    prefix = "Parameter containing:\ntensor(" if _is_parameter(self) else "tensor("
    values = self.values()
    form = _Format(values, self.dtype.is_floating_point)
    short = self.numel() > _SUMMARY
    if not self.numel():
        body = "[]"
    elif not self.dim():
        body = form(values[0]).strip() if self.dtype.is_floating_point else str(values[0])
    else:
        body = _rows(self.tolist(), self.dim(), form, len("tensor("), short)
    parts = [body]
    if not self.numel() and self.dim() != 1:
        parts.append(f"size={tuple(self.shape)}")
    usual = (dtypes.default.kind, dtypes.int64, dtypes.bool_)
    if self.dtype not in usual or (not self.numel() and self.dtype is not dtypes.default.kind):
        parts.append(f"dtype={self.dtype}")
    if self.grad_fn is not None:
        parts.append(f"grad_fn=<{self.grad_fn.name()}>")
    elif self.requires_grad:
        parts.append("requires_grad=True")
    return prefix + ", ".join(parts) + ")"


def _is_parameter(tensor: Tensor) -> bool:
    return type(tensor).__name__ == "Parameter"


METHODS = {"__repr__": represent}
