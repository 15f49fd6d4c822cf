"""The notes that operations leave, and the way back through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .modes import is_grad_enabled, no_grad, set_grad_enabled

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["Accumulate", "Node", "backward", "edge_of", "grad", "record"]

TWICE = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you "
    "call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
    "through the graph a second time or if you need to access saved tensors after calling backward."
)
MODIFIED = (
    "one of the variables needed for gradient computation has been modified by an inplace "
    "operation: [torch.FloatTensor {shape}] is at version {now}; expected version {then} instead."
)
NO_GRAPH = "element 0 of tensors does not require grad and does not have a grad_fn"
UNUSED = (
    "One of the differentiated Tensors appears to not have been used in the graph. Set "
    "allow_unused=True if this is the desired behavior."
)

Rule = Callable[["Tensor"], "Tensor | None"]
Edge = tuple["Node", int]


class Node:
    """One noted operation: where its inputs came from, and how a gradient goes to each."""

    def __init__(self, name: str, edges: Sequence[Edge | None], rules: Sequence[Rule]) -> None:
        self.label, self.edges, self.rules = name, edges, rules
        self.saved: list[tuple[Tensor, int]] = []
        self.released, self.outputs = False, 1
        self.retained: list[tuple[int, Tensor]] = []
        self.hooks: list[tuple[int, Callable]] = []

    def name(self) -> str:
        """What PyTorch calls the operation."""
        return self.label

    @property
    def next_functions(self) -> tuple:
        """The operations that made the inputs."""
        return tuple(edge or (None, 0) for edge in self.edges)

    def __repr__(self) -> str:
        return f"<{self.label} object at {id(self):#x}>"

    def keep(self, tensor: Tensor) -> None:
        """Remember a tensor that the way back needs as it is now."""
        self.saved.append((tensor, tensor._version))

    def back(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """Gradients of the inputs from that of the output."""
        self.check()
        if grads[0] is None:
            return [None] * len(self.edges)
        pairs = zip(self.edges, self.rules, strict=True)
        return [None if edge is None else rule(grads[0]) for edge, rule in pairs]

    def check(self) -> None:
        """RuntimeError where what was kept is gone or has changed."""
        if self.released and self.saved:
            raise RuntimeError(TWICE)
        for tensor, then in self.saved:
            if tensor._version != then:
                shape = list(tensor.shape)
                text = MODIFIED.format(shape=shape, now=tensor._version, then=then)
                raise RuntimeError(text)

    def release(self) -> None:
        """Forget what was kept; a second way back is refused."""
        self.released = True


class Accumulate(Node):
    """The end of a way back: a leaf, which collects its gradient."""

    def __init__(self, leaf: Tensor) -> None:
        super().__init__("AccumulateGrad", (), ())
        self.variable = leaf

    def back(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """Add to the leaf's gradient."""
        leaf, found = self.variable, grads[0]
        if found is None:
            return []
        if leaf.grad is None:
            leaf.grad = found.clone() if is_grad_enabled() else found.detach().clone()
        elif is_grad_enabled():
            leaf.grad = leaf.grad + found
        else:
            leaf.grad.add_(found)
        return []

    def release(self) -> None:
        """A leaf keeps nothing."""


def edge_of(tensor: Tensor) -> Edge | None:
    """Where a gradient of this tensor goes; None where it is not wanted."""
    if tensor.grad_fn is not None:
        return tensor.grad_fn, tensor._output
    if not tensor._wants:
        return None
    if tensor._collector is None:
        tensor._collector = Accumulate(tensor)
    return tensor._collector, 0


def record(
    out: Tensor, name: str, *inputs: tuple[Tensor, Rule] | tuple[Tensor, Rule, Sequence[Tensor]]
) -> Tensor:
    """Note an operation: each input with its rule, and the tensors that the rule reads."""
    if not is_grad_enabled():
        return out
    edges = [edge_of(entry[0]) for entry in inputs]
    if not any(edges) or not out.dtype.is_floating_point:
        return out
    node = Node(name, edges, [entry[1] for entry in inputs])
    for edge, entry in zip(edges, inputs, strict=True):
        if edge is not None and len(entry) > 2:
            for tensor in entry[2]:
                node.keep(tensor)
    out._set_history(node)
    return out


def _ordered(roots: Sequence[Node]) -> list[Node]:
    """Every node that can be reached, each before those that it leads to."""
    done: list[Node] = []
    seen: set[int] = set()
    stack = [(root, False) for root in roots]
    while stack:
        node, left = stack.pop()
        if left:
            done.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((edge[0], False) for edge in node.edges if edge is not None)
    return done[::-1]


class _Pass:
    """One way back: the gradients that wait at each node, and those that were asked for."""

    def __init__(self, targets: Sequence[Edge | None]) -> None:
        self.waiting: dict[int, list[Tensor | None]] = {}
        self.targets = targets
        self.found: list[Tensor | None] = [None] * len(targets)

    def add(self, edge: Edge, grad: Tensor) -> None:
        """Add a gradient to those that wait."""
        node, at = edge
        slots = self.waiting.setdefault(id(node), [None] * node.outputs)
        slots[at] = grad if slots[at] is None else slots[at] + grad

    def run(self, roots: Sequence[Node], only: bool, retain: bool) -> None:
        """Go through the nodes in order."""
        order = _ordered(roots)
        wanted = {id(edge[0]) for edge in self.targets if edge is not None}
        leads = set(wanted)
        for node in reversed(order):
            if any(edge is not None and id(edge[0]) in leads for edge in node.edges):
                leads.add(id(node))
        for node in order:
            grads = self.waiting.pop(id(node), None)
            if grads is None or (only and id(node) not in leads):
                continue
            grads = self._seen(node, grads)
            if only and all(e is None or id(e[0]) not in leads for e in node.edges):
                continue
            for edge, grad in zip(node.edges, node.back(grads), strict=True):
                if edge is not None and grad is not None:
                    self.add(edge, grad)
            if not retain:
                node.release()

    def _seen(self, node: Node, grads: list[Tensor | None]) -> list[Tensor | None]:
        for at, hook in node.hooks:
            if grads[at] is not None:
                changed = hook(grads[at])
                grads[at] = grads[at] if changed is None else changed
        for at, tensor in node.retained:
            tensor.grad = grads[at] if tensor.grad is None else tensor.grad + grads[at]
        for i, edge in enumerate(self.targets):
            if edge is not None and edge[0] is node:
                self.found[i] = grads[edge[1]]
        return grads


def _start(outputs: Sequence[Tensor], grads: Sequence[Tensor | None], way: _Pass) -> list[Node]:
    roots = []
    for out, given in zip(outputs, grads, strict=True):
        edge = edge_of(out)
        if edge is None:
            raise RuntimeError(NO_GRAPH)
        if given is None:
            if out.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            given = out.detach().clone()
            given.fill_(1)
        elif given.shape != out.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[0] has a shape of {given.shape} and output[0] has "
                f"a shape of {out.shape}."
            )
        way.add(edge, given)
        roots.append(edge[0])
    return roots


def _many(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def backward(
    tensors: object,
    grad_tensors: object = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: object = None,
) -> None:
    """Add the gradients of tensors to the `grad` of the leaves that they come from."""
    outputs = _many(tensors)
    grads = [None] * len(outputs) if grad_tensors is None else _many(grad_tensors)
    way = _Pass([])
    retain = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        way.run(_start(outputs, grads, way), only=False, retain=retain)


def grad(
    outputs: object,
    inputs: object,
    grad_outputs: object = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of outputs with respect to inputs, none of whose `grad` changes."""
    outputs, inputs = _many(outputs), _many(inputs)
    grads = [None] * len(outputs) if grad_outputs is None else _many(grad_outputs)
    targets = [edge_of(each) for each in inputs]
    if any(edge is None for edge in targets):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    way = _Pass(targets)
    retain = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        way.run(_start(outputs, grads, way), only=True, retain=retain)
    for i, found in enumerate(way.found):
        if found is None and materialize_grads:
            with no_grad():
                way.found[i] = inputs[i] * 0
        elif found is None and not allow_unused:
            raise RuntimeError(UNUSED)
    return tuple(way.found)
