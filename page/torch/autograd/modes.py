"""Whether operations are noted: a switch, and what turns it for a while."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

__all__ = ["enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]


class _Switch:
    on = True


def is_grad_enabled() -> bool:
    """Whether operations are noted for gradients."""
    return _Switch.on


class _Mode:
    """A context manager that is a decorator, too."""

    value = True

    def __enter__(self) -> None:
        self.before, _Switch.on = _Switch.on, self.value

    def __exit__(self, *error: object) -> None:
        _Switch.on = self.before

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            return self._generator(function)

        @functools.wraps(function)
        def wrapped(*args: object, **options: object) -> object:
            with type(self)(self.value) if isinstance(self, set_grad_enabled) else type(self)():
                return function(*args, **options)

        return wrapped

    def _generator(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*args: object, **options: object) -> object:
            with type(self)():
                yield from function(*args, **options)

        return wrapped


class _Bare(_Mode):
    """Also decorates without parentheses."""

    def __new__(cls, function: Callable | None = None) -> object:
        made = super().__new__(cls)
        return made(function) if callable(function) else made


class no_grad(_Bare):  # noqa: N801
    """Note nothing meanwhile."""

    value = False


class inference_mode(_Mode):  # noqa: N801
    """Note nothing meanwhile, or everything with False."""

    def __new__(cls, mode: object = True) -> object:
        made = super().__new__(cls)
        made.value = not mode if isinstance(mode, bool) else False
        return made(mode) if callable(mode) else made


class enable_grad(_Bare):  # noqa: N801
    """Note everything meanwhile."""


class set_grad_enabled(_Mode):  # noqa: N801
    """Switch noting on or off, at once and until a `with` block ends."""

    def __init__(self, mode: bool) -> None:
        self.value, self.before = mode, _Switch.on
        _Switch.on = mode

    def __enter__(self) -> None:
        _Switch.on = self.value
