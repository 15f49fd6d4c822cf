"""Runs a learner's code: in a thread, for a limited time, with nothing leaking out of it."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bnkit.book.guard import unchanged

__all__ = ["LIMIT", "Outcome", "Stopped", "run_limited", "run_ours"]

Value = TypeVar("Value")

LIMIT = 10.0  # seconds that a check waits for the learner's code
IMPORTING = 60  # more seconds that it waits for an import


class Stopped(BaseException):
    """Raised inside a learner's thread whose time is up; no ``except Exception`` catches it."""


@dataclass
class Outcome:
    """What became of a piece of work: its value, or what ended it."""

    value: object = None
    exception: BaseException | None = None
    stopped: bool = False
    interrupted: bool = False


def run_limited(work: Callable[[], object], limit: float = LIMIT) -> Outcome:
    """Call `work` in a thread, stop it when its time is up, and let nothing that it raises out.

    A thread and no signal, since Windows has no SIGALRM and a notebook may not be in the main
    thread. Random numbers start from seed 0; they and PyTorch's settings are as before afterwards.
    """
    outcome = Outcome()

    def target() -> None:
        try:
            outcome.value = work()
        except BaseException as exception:  # whatever it is, it ends here
            outcome.exception = exception

    thread = threading.Thread(target=target, daemon=True)
    with unchanged():
        interrupted = _ends(thread, limit)
        if thread.is_alive():
            _stop(thread)
            return Outcome(stopped=True, interrupted=interrupted)
    return outcome


def run_ours(work: Callable[[], Value], limit: float = 60.0) -> Value:
    """What our own code returns or raises, with the random numbers that an answer meets too."""
    outcome = run_limited(work, limit)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.exception is not None:
        raise outcome.exception
    return outcome.value


def _ends(thread: threading.Thread, limit: float) -> bool:
    """Start the thread and wait for it; whether whoever waits has interrupted it."""
    try:
        thread.start()
        thread.join(limit)
        waited = 0
        while _imports(thread) and waited < IMPORTING:  # of a part of PyTorch, at its first use
            thread.join(1.0)
            waited += 1
        if waited:
            thread.join(limit)
    except KeyboardInterrupt:
        return True
    return False


def _imports(thread: threading.Thread) -> bool:
    """Whether the thread is in an import, which is none of the learner's work."""
    frame = sys._current_frames().get(thread.ident)
    while frame and "importlib" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and thread.is_alive()


def _stop(thread: threading.Thread) -> None:
    """Raise in the thread, again if it was swallowed; code inside a C call hears it later."""
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    for _ in range(20):
        raise_in(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
        thread.join(0.05)
        if not thread.is_alive():
            return
