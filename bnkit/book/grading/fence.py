"""What an answer may not do while it is graded: read what gives it away, leave anything behind.

A fence against accidents and tricks. Whoever fears more grades in a container: Python cannot lock
up code that runs in its own process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bnkit.book.grading.landlock import lock
from bnkit.book.theirs import is_theirs

__all__ = ["MEMORY", "hide", "limit_resources", "raise_fence"]

MEMORY = 2 * 2**30  # bytes that an answer may ask for
OUTSIDE = "an answer that is graded writes no files outside its own folder"
OF_C = "an answer that is graded has no use for functions of C"
_FILE = 16 * 2**20  # bytes of a file that it may write
_REFUSED = {
    "starting another process": "subprocess.Popen os.system os.exec os.posix_spawn os.spawn "
    "os.fork os.forkpty os.startfile pty.spawn",
    "ending another process": "os.kill os.killpg resource.prlimit",
    "the network": "socket.connect socket.bind socket.sendto socket.getaddrinfo",
}
_EVENTS = {event: what for what, events in _REFUSED.items() for event in events.split()}
_WATCHES = {"sys.setprofile", "sys.settrace"}  # what tells a ready-made answer
_CHANGES = {"os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"}
_OF_TWO = {"os.rename", "os.link", "os.symlink"}  # paths
_BY_NAME = {"ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle"}  # C's functions
_TELL_NOBODY = {  # functions without an audit event, by module
    "signal": ("pidfd_send_signal",),
    "os": ("pidfd_open", "setpriority", "sched_setaffinity", "sched_setscheduler"),
    "_posixsubprocess": ("fork_exec",),
}
_COMPILED = {"signal": "_signal", "os": os.name}  # where a module has them from
_OF_C = {torch: ("from_file",), torch._C: ("PyTorchFileReader", "PyTorchFileWriter")}
_OF_C |= {torch.UntypedStorage: ("from_file",)}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_BOOK = os.path.realpath(Path(__file__).parents[1]) + os.sep
_LIBRARIES = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (
        Path(__file__).parents[2],
        *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)


def raise_fence(folder: str, closed: Sequence[str] = ()) -> None:
    """From now on refuse processes, network, writing outside `folder`, reading in `closed`.

    The book's own files are closed too: the solutions stand there. It cannot be taken down again.
    """
    inside = os.path.realpath(folder) + os.sep
    shut = tuple(os.path.realpath(each) + os.sep for each in closed)

    def hook(event: str, args: tuple) -> None:
        if event in _EVENTS:
            raise PermissionError(f"an answer that is graded has no use for {_EVENTS[event]}")
        if event in _WATCHES and is_theirs(sys._getframe(1).f_code.co_filename):
            raise PermissionError("an answer that is graded does not change who watches it")
        if event in _BY_NAME:
            _look_who_calls_c()
        elif event == "import" and args[0] == "_cffi_backend":
            raise PermissionError(OF_C)
        elif event == "open":
            path, mode, flags = args
            _look_at(path, bool(flags & _WRITING), inside, shut)
            if mode is None and isinstance(path, str | bytes):
                _look_at_a_folder(os.fsdecode(path), bool(flags & _WRITING), inside)
        elif event in _CHANGES or event in _OF_TWO:
            _look_at_a_change(args, args[: 2 if event in _OF_TWO else 1], inside, shut)

    _close_side_doors(inside, shut)
    lock(folder)
    sys.addaudithook(hook)


def _look_at(path: object, writes: bool, inside: str, shut: tuple[str, ...]) -> None:
    """Refuse a path that is not open to an answer."""
    if not isinstance(path, str | bytes | os.PathLike):
        return  # a file that is open already
    real = os.path.realpath(os.fsdecode(path))
    if real.startswith(inside) or real == os.devnull:
        return
    if writes:
        raise PermissionError(OUTSIDE)
    library = real.startswith(_LIBRARIES) and not real.startswith(_BOOK)
    if real.startswith((*shut, _BOOK)) and not library:
        raise PermissionError("an answer that is graded does not read the files of course and book")
    of_process = re.match(r"/proc/(\d+)/", real)
    if of_process and int(of_process[1]) != os.getpid():
        raise PermissionError("an answer that is graded does not look into other processes")


def _look_at_a_folder(path: str, writes: bool, inside: str) -> None:
    """Refuse what `os.open` opens so that other paths start there, and no hook can follow them."""
    real = os.path.realpath(path)
    away = os.path.isdir(real) and not (real + os.sep).startswith(inside)
    if away or (writes and ".." in path.split(os.sep)):
        raise PermissionError(OUTSIDE)


def _look_at_a_change(args: tuple, paths: tuple, inside: str, shut: tuple[str, ...]) -> None:
    """Refuse a change outside; a path that starts at an open folder is a name, nothing else."""
    for path in paths:
        _look_at(path, True, inside, shut)
        starts_elsewhere = any(type(each) is int and each >= 0 for each in args[-2:])
        plain = not isinstance(path, str) or os.sep not in path
        if starts_elsewhere and not plain and not os.path.isabs(path):
            raise PermissionError(OUTSIDE)


def _look_who_calls_c() -> None:
    """Refuse an answer C's own functions, of which no hook is told; libraries may call them."""
    frame = sys._getframe(2)
    while frame and os.path.basename(os.path.dirname(frame.f_code.co_filename)) == "ctypes":
        frame = frame.f_back
    if frame and is_theirs(frame.f_code.co_filename):
        raise PermissionError(OF_C)


def _close_side_doors(inside: str, shut: tuple[str, ...]) -> None:
    """Close the ways to processes and files that tell no audit hook."""
    for name, functions in _TELL_NOBODY.items():
        with contextlib.suppress(ImportError):
            for module in map(importlib.import_module, (name, _COMPILED.get(name, name))):
                for each in functions:
                    vars(module).update({each: _refuse} if hasattr(module, each) else {})
    for holder, names in _OF_C.items():
        for each in names:
            setattr(holder, each, _guarded(getattr(holder, each), inside, shut))


def _guarded(function: Callable, inside: str, shut: tuple[str, ...]) -> Callable:
    """A function of C that looks at the paths that it is given before it opens them."""

    def guarded(*args: object, **options: object) -> object:
        for each in (*args, *options.values()):
            if isinstance(each, str | os.PathLike):
                _look_at(each, "Reader" not in function.__name__, inside, shut)
        return function(*args, **options)

    return guarded


def _refuse(*_: object) -> None:
    raise PermissionError("an answer that is graded has no use for another process")


def limit_resources(seconds: float, memory: int = MEMORY) -> None:
    """Limit memory, processor time and files of this process, where the system knows how to."""
    try:
        import resource
    except ImportError:  # Windows; the time limit holds there too
        return
    limits = {"RLIMIT_CPU": int(seconds) + 1, "RLIMIT_FSIZE": _FILE, "RLIMIT_CORE": 0}
    statm = Path("/proc/self/statm")
    if statm.exists():
        pages = int(statm.read_text(encoding="ascii").split()[0])
        limits["RLIMIT_AS"] = pages * resource.getpagesize() + memory
    for name, limit in limits.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (limit, limit))


def hide(secret: Callable[[object], bool]) -> None:
    """Take every object that is secret out of the modules of the book, and chapters out of reach.

    What still needs a chapter's functions holds them itself.
    """
    names = [name for name in sys.modules if name.startswith("bnkit.book.")]
    for name in names:
        module = sys.modules[name]
        for key, value in list(vars(module).items()):
            if secret(value):
                delattr(module, key)
        if name.startswith("bnkit.book.ch"):
            del sys.modules[name]
            delattr(sys.modules["bnkit.book"], name.rpartition(".")[2])
