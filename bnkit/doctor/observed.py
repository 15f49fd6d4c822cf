"""The graph of one forward pass, where torch.fx cannot trace the model: calls as they happen.

A tensor carries the step that made it, together with its version, so that a change in place by a
step that was not seen breaks the link and does not forge one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from bnkit.doctor.graph import Graph, Step

__all__ = ["Observer"]

_MARK = "_bnkit_step"


class Observer(TorchFunctionMode):
    """While it is entered, notes each call of a leaf module, and each function outside of one."""

    def __init__(self, model: nn.Module, known: set[nn.Module]) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.depth = 0  # of leaf modules, whose own functions are their business
        for name, module in model.named_modules():
            if module in known or not any(True for _ in module.children()):
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave(name))

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", str(func))
        if self.depth == 0 and name != "__get__":
            values = (*args[1:], *(kwargs or {}).items())
            plain = tuple(value for value in values if not isinstance(value, Tensor))
            self._note(Step("function", name, values=plain), (args, kwargs or {}), output)
        return output

    def graph(self, output: object) -> Graph:
        """What was seen, ended by the model's output."""
        end = Step("output", "output")
        _link(end, output)
        return Graph([*self.steps, end], whole=True)

    def _enter(self, module: nn.Module, inputs: tuple) -> None:
        self.depth += 1

    def _leave(self, name: str) -> Callable[[nn.Module, tuple, object], None]:
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            self.depth -= 1
            if self.depth == 0:
                self._note(Step("module", name, module), inputs, output)

        return hook

    def _note(self, step: Step, inputs: object, output: object) -> None:
        made = list(_tensors(output))
        if not made:
            return
        _link(step, inputs)
        self.steps.append(step)
        for tensor in made:
            setattr(tensor, _MARK, (step, tensor._version))


def _tensors(values: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _link(step: Step, inputs: object) -> None:
    for tensor in _tensors(inputs):
        feeder, version = getattr(tensor, _MARK, (None, -1))
        if feeder is None or feeder in step.before or version != tensor._version:
            continue
        step.before.append(feeder)
        feeder.after.append(step)
