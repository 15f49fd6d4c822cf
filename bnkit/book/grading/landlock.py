"""What Linux itself refuses a process from now on: writing outside a folder, signals, connections.

Python's audit hooks see what Python's code does. What C code does, such as PyTorch's when it writes
a file, is seen by the kernel alone. Landlock asks for no rights and cannot be taken back; where the
kernel does not have it, nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

__all__ = ["adopt_orphans", "can_lock", "lock"]

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # system calls, the same on every processor
_VERSION, _BENEATH = 1, 1  # ask for the version; a rule for what lies beneath a folder
_SUBREAPER, _NO_NEW_RIGHTS = 36, 38  # of prctl
_WRITE, _TRUNCATE = 1 << 1, 1 << 14
_CHANGES = _WRITE | sum(1 << bit for bit in range(4, 13))  # remove and make files of each kind
_MOVES = 1 << 13  # between folders, since version 2
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; sockets and signals


def can_lock() -> int:
    """The version of Landlock that the kernel has; 0 where it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(ctypes.CDLL(None).syscall(_CREATE, None, 0, _VERSION), 0)


def lock(folder: str) -> None:
    """Let this process write in a folder alone, and reach no process outside, where it can be."""
    version = can_lock()
    if not version:
        return
    libc = ctypes.CDLL(None)
    handled = _CHANGES | (_MOVES if version > 1 else 0) | (_TRUNCATE if version > 2 else 0)
    attributes = struct.pack("QQQ", handled, _TCP, _SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24  # what the version knows of
    rules = libc.syscall(_CREATE, attributes, size, 0)
    allowed = {folder: handled, os.devnull: handled & (_WRITE | _TRUNCATE)}
    for path, access in allowed.items():
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        libc.syscall(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", access, place), 0)
        os.close(place)
    libc.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0)
    libc.syscall(_RESTRICT, rules, 0)
    os.close(rules)


def adopt_orphans() -> None:
    """From now on whatever a child leaves running becomes a child of this process."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
