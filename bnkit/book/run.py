"""Runs a learner's code: in a thread, for a limited time, with nothing leaking out of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import sys
import sysconfig
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["LIMIT", "Outcome", "own_line", "run_limited"]

LIMIT = 10.0  # seconds that a check waits for the learner's code
_LIBRARIES = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_NOT_THEIRS = tuple(
    str(folder) + os.sep
    for folder in (Path(__file__).parents[1], Path(torch.__file__).parent, *_LIBRARIES)
)


class _Stopped(BaseException):
    """Raised inside a learner's thread whose time is up; no ``except Exception`` catches it."""


@dataclass
class Outcome:
    """What became of a piece of work: its value, or what ended it."""

    value: object = None
    exception: BaseException | None = None
    stopped: bool = False


def run_limited(work: Callable[[], object], limit: float = LIMIT) -> Outcome:
    """Call `work` in a thread, stop it when its time is up, and let nothing that it raises out.

    A thread and no signal, since Windows has no SIGALRM and a notebook may not be in the main
    thread. Random numbers start from seed 0, and are as before afterwards, like the default dtype.
    """
    outcome = Outcome()

    def target() -> None:
        try:
            outcome.value = work()
        except BaseException as exception:  # whatever it is, it ends here
            outcome.exception = exception

    thread = threading.Thread(target=target, daemon=True)
    with _unchanged_globals():
        thread.start()
        with contextlib.suppress(KeyboardInterrupt):
            thread.join(limit)
        if thread.is_alive():
            _stop(thread)
            return Outcome(stopped=True)
    return outcome


def _stop(thread: threading.Thread) -> None:
    """Raise in the thread, again if it was swallowed; code inside a C call hears it later."""
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    for _ in range(20):
        raise_in(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stopped))
        thread.join(0.05)
        if not thread.is_alive():
            return


@contextlib.contextmanager
def _unchanged_globals() -> Iterator[None]:
    python, dtype = random.getstate(), torch.get_default_dtype()
    numpy = sys.modules.get("numpy")
    state = numpy.random.get_state() if numpy else None
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)
        try:
            yield
        finally:
            random.setstate(python)
            torch.set_default_dtype(dtype)
            if numpy:
                numpy.random.set_state(state)


def own_line(exception: BaseException) -> str:
    """The exception and, where there is one, the last line of the learner's code that led to it."""
    message = traceback.format_exception_only(exception)[-1].strip()
    frames = traceback.extract_tb(exception.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
    if not theirs:
        return message
    last = theirs[-1]
    return f"{message}\nin line {last.lineno} of {last.name}: {last.line}".rstrip(" :")
