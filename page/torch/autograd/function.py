"""Operations whose way back the user writes."""

from __future__ import annotations

from .engine import Node, edge_of
from .modes import is_grad_enabled, no_grad

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What `forward` leaves for `backward`."""

    def __init__(self) -> None:
        self._kept: tuple = ()
        self._node: _Written | None = None

    def save_for_backward(self, *tensors: object) -> None:
        """Keep tensors, or None."""
        self._kept = tensors

    @property
    def saved_tensors(self) -> tuple:
        """What was kept; RuntimeError where it has changed since, or was freed."""
        if self._node is not None:
            self._node.check()
        return self._kept

    def mark_dirty(self, *tensors: object) -> None:
        """Say which inputs were written into."""

    def mark_non_differentiable(self, *tensors: object) -> None:
        """Say which outputs carry no gradient."""
        self.constant = {id(tensor) for tensor in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted: absent gradients come as zeros in any case."""


class _Written(Node):
    """The note of an operation with a `backward` of its own."""

    def __init__(self, kind: type, ctx: FunctionCtx, edges: list, outputs: list) -> None:
        super().__init__(f"{kind.__name__}Backward", edges, ())
        self.kind, self.ctx = kind, ctx
        self.outputs = len(outputs)
        self.like = [out.detach() for out in outputs]
        for tensor in ctx._kept:
            if tensor is not None:
                self.keep(tensor)

    def back(self, grads: list) -> list:
        """Call the user's `backward`, with zeros for gradients that are absent."""
        pairs = zip(grads, self.like, strict=True)
        given = [like * 0 if grad is None else grad for grad, like in pairs]
        found = self.kind.backward(self.ctx, *given)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) < len(self.edges):
            raise RuntimeError(
                f"function {self.label} returned an incorrect number of gradients (expected "
                f"{len(self.edges)}, got {len(found)})"
            )
        return list(found[: len(self.edges)])


class Function:
    """An operation with a `forward` and a `backward`, called by `apply`."""

    @staticmethod
    def forward(*args: object) -> object:
        """Compute the outputs."""
        raise NotImplementedError("You must implement the forward function for Function.")

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: object) -> object:
        """Compute the gradients of the inputs."""
        raise NotImplementedError("You must implement the backward function for Function.")

    @classmethod
    def apply(cls, *args: object) -> object:
        """Compute the outputs, and note the way back."""
        ctx = FunctionCtx()
        edges = [edge_of(arg) if hasattr(arg, "grad_fn") else None for arg in args]
        ctx.needs_input_grad = tuple(edge is not None for edge in edges)
        with no_grad():
            if "setup_context" in vars(cls):
                found = cls.forward(*args)
                cls.setup_context(ctx, args, found)
            else:
                found = cls.forward(ctx, *args)
        if not is_grad_enabled() or not any(edges):
            return found
        outputs = [o for o in (found if isinstance(found, tuple) else (found,))]
        outputs = [o.detach() if any(o is arg for arg in args) else o for o in outputs]
        ctx._node = node = _Written(cls, ctx, edges, outputs)
        for i, out in enumerate(outputs):
            if out.dtype.is_floating_point and id(out) not in getattr(ctx, "constant", ()):
                out._set_history(node, i)
        return tuple(outputs) if isinstance(found, tuple) else outputs[0]


def once_differentiable(function: object) -> object:
    """Accepted as it is."""
    return function
