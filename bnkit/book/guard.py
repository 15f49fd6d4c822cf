"""Keeps what a learner's code could leave changed: settings, the working folder, and functions."""

from __future__ import annotations

import builtins
import contextlib
import os
import random
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from bnkit.book.theirs import is_theirs

__all__ = ["apart", "put_back", "remember", "unchanged"]

_NAMES = ("builtins", "math", "copy", "random", "torch", "torch.nn", "torch.nn.functional")
_NAMES += ("torch.linalg", "torch.autograd", "torch.nn.init", "torch.testing", "bnkit")
_CLASSES = (torch.Tensor, nn.Module, nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm1d.__base__)
_LEFT_ALONE = {"input", "print", "display", "get_ipython", "exit", "quit", "breakpoint", "open"}
_KINDS = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType, type)
_KINDS += (types.WrapperDescriptorType, types.GetSetDescriptorType, property, classmethod)
_KINDS += (staticmethod,)

Holder = types.ModuleType | type
_known: dict[tuple[str, str], tuple[Holder, object, object]] = {}
_names: dict[str, tuple[Holder, set[str]]] = {}


def remember() -> None:
    """Note every function and class of PyTorch, Python and bnkit that is loaded by now."""
    for holder in _holders():
        where = getattr(holder, "__module__", None) if isinstance(holder, type) else None
        path = ".".join(filter(None, [where, holder.__name__]))
        _names.setdefault(path, (holder, set(vars(holder))))
        for name, value in list(vars(holder).items()):
            if isinstance(value, _KINDS) and name not in _LEFT_ALONE:
                _known.setdefault((path, name), (holder, value, _code(value)))


def _holders() -> list[Holder]:
    ours = [m for name, m in sys.modules.items() if m and name.startswith("bnkit.")]
    modules = [sys.modules[name] for name in _NAMES if name in sys.modules] + ours
    own = {v for m in ours for v in vars(m).values() if isinstance(v, type)}
    own = {cls for cls in own if cls.__module__.startswith("bnkit.")}
    return [*modules, *_CLASSES, *own]


def _code(value: object) -> object:
    return value.__code__ if isinstance(value, types.FunctionType) else None


def put_back() -> list[str]:
    """Undo what a learner's code has replaced since, and say what; libraries may patch others."""
    found = _uncovered()
    for (path, name), (holder, value, code) in _known.items():
        now = vars(holder).get(name)
        if (now is value and _code(value) is code) or not _of_a_learner(now, name):
            continue
        found.append(f"{path}.{name}".removeprefix("builtins."))
        with contextlib.suppress(TypeError, AttributeError):
            if code is not None:
                value.__code__ = code
            setattr(holder, name, value)
    return found


def _uncovered() -> list[str]:
    """Take away what a learner's code put before a built-in function or a method of a base."""
    found = []
    for path, (holder, names) in _names.items():
        for name in set(vars(holder)) - names:
            below = holder.__mro__[1:] if isinstance(holder, type) else (builtins,)
            hides = holder is not builtins and any(hasattr(each, name) for each in below)
            if hides and _of_a_learner(vars(holder)[name], name):
                delattr(holder, name)
                found.append(f"{path}.{name}")
    return found


def _of_a_learner(successor: object, name: str) -> bool:
    """Whether what stands in place of a function is no library's own patch of it."""
    if isinstance(successor, types.FunctionType):
        return is_theirs(successor.__code__.co_filename) or successor.__name__ != name
    if isinstance(successor, type):
        module = sys.modules.get(successor.__module__)
        return is_theirs(getattr(module, "__file__", None) or "")
    return True


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Random numbers start from seed 0 and warnings are silent; all is as before afterwards."""
    undo = [keep() for keep in (_keep_torch, _keep_python, _keep_numpy, _keep_plots)]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)
        try:
            yield
        finally:
            for each in undo:
                each()


def _keep_torch() -> Callable[[], None]:
    settings = [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.get_num_threads, torch.set_num_threads),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        *map(_flag, ("deterministic", "benchmark", "enabled")),
    ]
    before = [(get, put, get()) for get, put in settings]

    def undo() -> None:
        for get, put, value in before:
            if get() != value:  # some imports much to put a value that is there already
                put(value)

    return undo


def _flag(name: str) -> tuple[Callable, Callable]:
    cudnn = torch.backends.cudnn
    return partial(getattr, cudnn, name), partial(setattr, cudnn, name)


def _keep_python() -> Callable[[], None]:
    state, depth, path = random.getstate(), sys.getrecursionlimit(), list(sys.path)
    streams, environment = (sys.stdout, sys.stderr), dict(os.environ)
    folder = os.getcwd()

    def undo() -> None:
        random.setstate(state)
        sys.setrecursionlimit(depth)
        sys.path[:] = path
        sys.stdout, sys.stderr = streams
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        os.chdir(folder)

    return undo


def _keep_numpy() -> Callable[[], None]:
    numpy = sys.modules.get("numpy")
    if not numpy:
        return lambda: None
    state, errors = numpy.random.get_state(), numpy.geterr()

    def undo() -> None:
        numpy.random.set_state(state)
        numpy.seterr(**errors)

    return undo


def _keep_plots() -> Callable[[], None]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if not pyplot:
        return lambda: None
    settings, open_before = dict.copy(pyplot.rcParams), pyplot.get_fignums()

    def undo() -> None:
        dict.update(pyplot.rcParams, settings)
        for number in set(pyplot.get_fignums()) - set(open_before):
            pyplot.close(number)

    return undo


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """A working folder of its own, so that a file that an answer writes is gone afterwards."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sys.path[:] = [before if entry == "" else entry for entry in sys.path]
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
