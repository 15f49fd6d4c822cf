"""What this torch does not have: one plain line for whoever asks, placeholders while a book loads.

While the book's own modules are imported they may name parts that nothing in the page uses, such
as a tracer or a plotting library. They get a placeholder. A learner who names one is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["LacksError", "Placeholder", "lacks", "loading", "missing"]

MESSAGE = "the page's torch lacks {name}; open this chapter in Colab or JupyterLab to use it"


class LacksError(AttributeError):
    """Something of PyTorch's that the page's torch does not have."""

    __module__ = "builtins"  # so that Python names it without a path


class _State:
    loading = False


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Hand out placeholders meanwhile."""
    before, _State.loading = _State.loading, True
    try:
        yield
    finally:
        _State.loading = before


def lacks(name: str) -> LacksError:
    """The error that names what is not here."""
    return LacksError(MESSAGE.format(name=name))


def missing(name: str) -> type:
    """A placeholder for a part that is asked for while the book loads; else LacksError."""
    if not _State.loading:
        raise lacks(name)
    return type(name.rsplit(".", 1)[-1], (Placeholder,), {"_path": name, "__doc__": f"No {name}."})


class _Meta(type):
    """Lets a placeholder be subscripted, called, combined with `|` and asked for its parts."""

    def __getattr__(cls, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return missing(f"{cls._path}.{name}")

    def __getitem__(cls, index: object) -> type:
        return cls

    def __or__(cls, other: object) -> object:
        return cls

    __ror__ = __or__

    def __iter__(cls) -> Iterator[object]:
        return iter(())

    def _combined(cls, *_others: object) -> type:
        return cls

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _combined
    __truediv__ = __rtruediv__ = __pow__ = __matmul__ = __neg__ = _combined


class Placeholder(metaclass=_Meta):
    """Stands where something else is in PyTorch; a call while the book loads gives another."""

    _path = "this"

    def __new__(cls, *args: object, **options: object) -> object:
        if not _State.loading:
            raise lacks(cls._path)
        return missing(f"{cls._path}()")
