"""Sees, while an answer runs, which ready-made layer or function does its work.

Not by reading its text: whatever name a call hides behind, it is seen when it runs. A call counts
where the learner's own code makes it, not a probe or a model that the exercise hands over.
"""

from __future__ import annotations

import functools
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from bnkit.book.theirs import is_theirs

__all__ = ["Watch", "made_by_others"]

_TORCH, _BNKIT = (str(Path(module.__file__).parent) for module in (torch, sys.modules["bnkit"]))
_NORMS = re.compile(r"(batch|layer|group|instance|rms)_norm|^update_bn$|^fuse_(conv|linear)_bn")
_OURS = tuple(
    f"{_BNKIT}/{part}" for part in ("functional", "layers", "relatives", "training", "distributed")
)
_OUTER = ("layer", "function")  # what these call is theirs
_LAYER = re.compile(r"(Batch|Layer|Group|Instance|RMS)Norm")


class _Value:
    """What a learner's function returned; None is a value too."""

    def __init__(self, value: object) -> None:
        self.value = value


class Watch:
    """Notes ready-made calls of the learner's code, and what that code returned last."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.returned: _Value | None = None

    def __enter__(self) -> Watch:
        self._before = sys.getprofile()
        sys.setprofile(self._see)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.setprofile(self._before)

    def _see(self, frame: types.FrameType, event: str, arg: object) -> None:
        if event == "call":
            name = _of_python(frame)
            if name and (_asked_by_them(frame.f_back) or _is_their_layer(frame)):
                self._note(name)
        elif event == "c_call":
            name = getattr(arg, "__name__", "")
            if _is_norm(name) and _of_torch(arg) and _asked_by_them(frame):
                self._note(f"torch.{name}")
        elif event == "return" and _gives_back(frame):
            self.returned = _Value(arg)

    def _note(self, name: str) -> None:
        if name not in self.names:
            self.names.append(name)


@functools.cache
def _is_norm(name: str) -> bool:
    return bool(_NORMS.search(name))


def _of_torch(function: object) -> bool:
    module = getattr(function, "__module__", None) or str(getattr(function, "__self__", ""))
    return "torch" in module


@functools.cache
def _theirs(code: types.CodeType) -> bool:
    return is_theirs(code.co_filename)


@functools.cache
def _watched(code: types.CodeType) -> str:
    """The kind of a function that may be ready-made: of PyTorch, a layer's method, or bnkit's."""
    file, name = code.co_filename, code.co_name
    if file.startswith(_OURS):
        return "bnkit"
    if file.startswith(f"{_BNKIT}/book/ch") and not name.startswith(("__", "<")):
        return "chapter"
    if not file.startswith(_TORCH):
        return ""
    if name in ("forward", "__init__") and "modules" in file and "norm" in file:
        return "layer"
    if name == "__call__" and file.endswith("_ops.py"):
        return "operator"
    if "autograd" in file and name in ("grad", "backward"):
        return "autograd"
    return "function" if _is_norm(name) else ""


def _of_python(frame: types.FrameType) -> str:
    """The name of what a call makes, if it is ready-made."""
    code = frame.f_code
    kind = _watched(code)
    if not kind:
        return ""
    if kind == "autograd":
        return "autograd"
    own = frame.f_locals.get("self")
    if kind == "operator":
        name = getattr(own, "_name", None) or getattr(own, "__name__", "")
        return f"torch.ops.{name}" if _is_norm(str(name)) else ""
    if isinstance(own, nn.Module):
        return _layer(own, built=code.co_name == "__init__")
    if kind == "chapter":
        return "" if own is not None else f"{Path(code.co_filename).stem}.{code.co_name}"
    if kind == "bnkit":
        known = next((cls for cls in type(own).__mro__ if _of_library(cls)), None)
        owner = f"{known.__name__}." if known and own is not None else ""
        return f"bnkit.{owner}{code.co_name}".replace(".__init__", "")
    short = "F" if code.co_filename.endswith("functional.py") else "torch.nn.utils"
    return f"{short}.{code.co_name}"


def _layer(module: nn.Module, built: bool) -> str:
    """The library's class that a layer is; nothing for a layer of the learner's that is built."""
    if built and not _of_library(type(module)):
        return ""
    bases = (
        cls for cls in type(module).__mro__ if _of_library(cls) and _LAYER.search(cls.__name__)
    )
    return next((_short(cls) for cls in bases), "")


def _of_library(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).split(".")[0] in ("torch", "bnkit")


def _short(thing: object) -> str:
    package, _, rest = thing.__module__.partition(".")
    home = {"nn.functional": "F."}.get(rest, "nn." if rest.startswith("nn.modules") else "")
    return f"{home or package + '.'}{thing.__name__}"


def _is_their_layer(frame: types.FrameType) -> bool:
    """Whether the forward pass that runs is the library's, in a class of the learner's."""
    own = frame.f_locals.get("self")
    return frame.f_code.co_name == "forward" and own is not None and not _of_library(type(own))


def _gives_back(frame: types.FrameType) -> bool:
    """Whether a call that comes to its end is one that a probe has made of the learner's code."""
    ours = _theirs(frame.f_code) and frame.f_code.co_name != "__init__"
    return ours and not _asked_by_them(frame.f_back)


def _asked_by_them(frame: types.FrameType | None) -> bool:
    """Whether the nearest caller of no library is the learner's, and nothing ready-made between."""
    while frame:
        if _theirs(frame.f_code):
            return True
        if frame.f_code.co_filename.startswith(_BNKIT) or _watched(frame.f_code) in _OUTER:
            return False
        frame = frame.f_back
    return False


def made_by_others(answer: Callable) -> tuple[str, ...]:
    """The name of an answer that is itself a library's function or layer."""
    while isinstance(answer, functools.partial):
        answer = answer.func
    named = isinstance(answer, type) or hasattr(answer, "__name__")
    of_book = str(getattr(answer, "__module__", "")).startswith("bnkit.book")
    if named and _of_library(answer) and not of_book:
        return (_short(answer),)
    return ()
