"""Stands in for libraries that the book imports and that a page does not have.

The chapters' files draw figures too, so they import plotting and widgets. While the book is being
loaded such an import succeeds and gives placeholders; afterwards it fails as any import of what is
not there, with one line that says where it is.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

from torch import lacking

__all__ = ["FINDER", "absent_libraries"]

ABSENT = frozenset([
    "IPython", "PIL", "anywidget", "cycler", "ipykernel", "ipywidgets", "matplotlib", "mnist1d",
    "nbconvert", "nbformat", "nbgrader", "numpy", "pygments", "scipy", "torchvision", "tqdm",
    "traitlets",
])  # fmt: skip
NOT_HERE = "the page's Python has no {name}; open this chapter in Colab or JupyterLab to use it"


class _Module(ModuleType):
    """A module of placeholders."""

    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return lacking.missing(f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what nobody else has found."""

    def __init__(self) -> None:
        self.loading = False

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A placeholder while the book loads; else a plain error."""
        first = name.partition(".")[0]
        if first not in ABSENT and first != "torch":
            return None
        if first == "torch" and importlib.machinery.PathFinder.find_spec(name, path):
            return None
        if not self.loading:
            raise ModuleNotFoundError(NOT_HERE.format(name=name), name=name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """An empty module of placeholders."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


FINDER = _Finder()


@contextlib.contextmanager
def absent_libraries() -> Iterator[None]:
    """Let the book import what is not here, and forget the placeholders afterwards."""
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)
    FINDER.loading = True
    try:
        with lacking.loading():
            yield
    finally:
        FINDER.loading = False
        for name in [n for n, module in sys.modules.items() if isinstance(module, _Module)]:
            del sys.modules[name]
