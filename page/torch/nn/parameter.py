"""Tensors that a module learns, and tensors that it keeps."""

from __future__ import annotations

from ..tensor import Tensor, _assemble

__all__ = ["Buffer", "Parameter", "UninitializedParameter"]


class Parameter(Tensor):
    """A tensor that a module learns."""

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """The same numbers, as a leaf."""
        if data is None:
            from ..creation import zeros

            data = zeros(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"expected a Tensor for a Parameter, got {type(data).__name__}")
        made = _assemble(data._storage, data.layout_, data.dtype, cls)
        return made.requires_grad_(requires_grad)


class Buffer(Tensor):
    """A tensor that a module keeps."""

    def __new__(cls, data: Tensor, *, persistent: bool = True) -> Buffer:
        """The same numbers."""
        made = _assemble(data._storage, data.layout_, data.dtype, cls)
        made.persistent = persistent
        return made


class UninitializedParameter(Parameter):
    """Of lazy layers, which are not here."""
