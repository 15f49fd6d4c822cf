"""Watching: a mode sees where tensors become plain numbers while it is on, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable

__all__ = ["TorchFunctionMode", "announced"]

_modes: list[TorchFunctionMode] = []


class TorchFunctionMode:
    """Is asked, while it is on, before a tensor becomes a number or a list."""

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Do what was asked for."""
        return func(*args, **(kwargs or {}))

    def __enter__(self) -> TorchFunctionMode:
        _modes.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _modes.remove(self)


def announced(method: Callable) -> Callable:
    """Ask the innermost mode before a method runs, which meanwhile is off."""

    @functools.wraps(method)
    def asked(self: object, *args: object) -> object:
        if not _modes:
            return method(self, *args)
        mode = _modes.pop()
        try:
            return mode.__torch_function__(method, (type(self),), (self, *args), {})
        finally:
            _modes.append(mode)

    return asked
