"""Which step of a model feeds which: traced by torch.fx, else read off its `nn.Sequential`s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from bnkit.doctor.kinds import layers_of

__all__ = ["MIXING", "Graph", "Step", "feeders", "graph_of", "is_compiled", "passes", "reshapes"]

MIXING = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_ELEMENTWISE = {
    "relu", "relu_", "relu6", "gelu", "silu", "silu_", "sigmoid", "tanh", "leaky_relu", "elu",
    "hardswish", "hardtanh", "softplus", "mish", "selu", "dropout", "contiguous", "clone",
    "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout",
}  # fmt: skip
_RESHAPING = {
    "flatten", "view", "reshape", "transpose", "permute", "squeeze", "unsqueeze", "contiguous",
    "movedim", "swapaxes",
}  # fmt: skip


@dataclass(eq=False)
class Step:
    """One step of a model: a module called, a function, the input or the output."""

    op: str  # "module", "function", "input" or "output"
    name: str  # the module's name in the model, or the function's
    module: nn.Module | None = None
    values: tuple[object, ...] = ()  # a function's plain arguments
    before: list[Step] = field(default_factory=list)
    after: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Graph:
    """The steps of a model. A whole one knows all of them, and each place of a call."""

    steps: list[Step]
    whole: bool

    def calls_of(self, module: nn.Module) -> list[Step]:
        """Every step that calls a module."""
        return [step for step in self.steps if step.module is module]


class _Tracer(fx.Tracer):
    """Takes normalization layers as one step, also those that torch.fx does not know."""

    def __init__(self, known: set[nn.Module]) -> None:
        super().__init__()
        self.known = known

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m in self.known or super().is_leaf_module(m, module_qualified_name)


def graph_of(model: nn.Module) -> Graph:
    """Trace a model; where its code depends on its input, take the neighbors in Sequentials."""
    known = {layer.module for layer in layers_of(model)}
    if model in known:
        return Graph([Step("module", type(model).__name__, model)], whole=True)
    try:
        traced = _Tracer(known).trace(model)
    except Exception:  # a model may do anything with its input
        return Graph(list(_in_sequentials(model)), whole=False)
    return Graph(_steps(model, traced), whole=True)


def _steps(model: nn.Module, traced: fx.Graph) -> list[Step]:
    steps: dict[fx.Node, Step] = {}
    for node in traced.nodes:
        step = _step(model, node)
        for feeder in node.all_input_nodes:
            step.before.append(steps[feeder])
            steps[feeder].after.append(step)
        steps[node] = step
    return list(steps.values())


def _step(model: nn.Module, node: fx.Node) -> Step:
    if node.op == "call_module":
        return Step("module", str(node.target), model.get_submodule(node.target))
    if node.op in ("call_function", "call_method"):
        name = node.target if isinstance(node.target, str) else node.target.__name__
        values = map_arg((node.args[1:], node.kwargs), lambda _: None)
        return Step("function", name, values=(*values[0], *values[1].items()))
    kinds = {"placeholder": "input", "output": "output"}
    return Step(kinds.get(node.op, "function"), node.name)


def _in_sequentials(model: nn.Module) -> Iterator[Step]:
    for prefix, container in model.named_modules():
        if type(container) is not nn.Sequential:
            continue
        steps = [
            Step("module", f"{prefix}.{name}" if prefix else name, child)
            for name, child in container.named_children()
        ]
        for first, second in pairwise(steps):
            first.after.append(second)
            second.before.append(first)
        yield from steps


def reshapes(step: Step) -> bool:
    """Whether a step only moves values about."""
    if step.op == "module":
        return isinstance(step.module, nn.Flatten | nn.Unflatten | nn.Identity)
    return step.op == "function" and step.name in _RESHAPING


def passes(step: Step) -> bool:
    """Whether a step treats each value by itself, or pools, so that what came before shows."""
    if step.op == "module":
        kinds = ("torch.nn.modules.activation", "torch.nn.modules.pooling")
        return type(step.module).__module__ in kinds or reshapes(step)
    return step.op == "function" and (step.name in _ELEMENTWISE or reshapes(step))


def feeders(step: Step) -> Iterator[Step]:
    """What stands before a step, one after another, as long as there is exactly one."""
    while len(step.before) == 1:
        step = step.before[0]
        yield step


def is_compiled(model: nn.Module) -> bool:
    """Whether a model is a program of torch.jit, which has no Python to trace or to watch."""
    return isinstance(model, torch.jit.ScriptModule)
