"""A model lent out with private tensors, and given back as it was, whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from bnkit.training.randomness import generators, random_state, set_random_state

__all__ = ["untouched"]

Saved = list[tuple[dict, dict]]  # each dictionary with what it held


@contextmanager
def untouched(model: nn.Module, loader: object = None) -> Iterator[None]:
    """Run a block on a model whose tensors are copies; then everything is as before.

    Every parameter and buffer is swapped for a copy, so that the model's own are never written to:
    not their values, not their gradients, not their versions. Modes, hooks, attributes and the
    random generators are put back as well, also after an exception or an interrupt.
    """
    modules = list(model.modules())
    kinds = {module: type(module) for module in modules}
    saved = [pair for module in modules for pair in _dictionaries(module)]
    state = random_state()
    drawn = [(g, g.get_state()) for g in generators([loader])]
    try:
        _make_private(modules)
        yield
    finally:
        with _interrupts_wait():
            _put_back(saved)
            for module, kind in kinds.items():  # a lazy layer changes its class
                module.__class__ = kind
            for generator, before in drawn:
                generator.set_state(before)
            set_random_state(state)


def _dictionaries(module: nn.Module) -> Saved:
    """A module's attributes, and those that are dictionaries: parameters, buffers, hooks."""
    own = module.__dict__
    inner = [value for value in own.values() if isinstance(value, dict)]
    return [(each, dict(each)) for each in (*inner, own)]


def _put_back(saved: Saved) -> None:
    """Fill each dictionary again; it stays the same object, which handles of hooks hold."""
    for dictionary, before in saved:
        dictionary.clear()
        dictionary.update(before)


def _make_private(modules: list[nn.Module]) -> None:
    copies: dict[int, Tensor] = {}  # a tensor that two modules share stays shared
    for module in modules:
        own = module.__dict__
        for inner in (own["_parameters"], own["_buffers"]):
            inner.update({name: _private(value, copies) for name, value in inner.items()})
        plain = {
            name: _private(value, copies)
            for name, value in own.items()
            if isinstance(value, Tensor) or type(value) in (list, dict)
            if not name.endswith("_hooks") and name not in ("_parameters", "_buffers", "_modules")
        }
        own.update(plain)


def _private(value: object, copies: dict[int, Tensor]) -> object:
    """A copy of a tensor, or of a list or dictionary with the tensors in it."""
    if isinstance(value, Tensor):
        if id(value) not in copies:
            copies[id(value)] = _copy(value)
        return copies[id(value)]
    if type(value) is list:
        return [_private(part, copies) for part in value]
    if type(value) is dict:
        return {key: _private(part, copies) for key, part in value.items()}
    return value


def _copy(value: Tensor) -> Tensor:
    if is_lazy(value):
        kind = UninitializedParameter if isinstance(value, nn.Parameter) else UninitializedBuffer
        asked = {"requires_grad": value.requires_grad} if kind is UninitializedParameter else {}
        return kind(device=value.device, dtype=value.dtype, **asked)
    copied = value.detach().clone(memory_format=torch.preserve_format)
    if isinstance(value, nn.Parameter):
        return nn.Parameter(copied, requires_grad=value.requires_grad)
    return copied


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold back an interrupt from the keyboard until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda *what: came.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)  # None: not set from Python
        if came and callable(before):
            before(*came[0])
