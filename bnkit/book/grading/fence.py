"""What an answer may not do while it is graded: read what gives it away, leave anything behind.

A fence against accidents and tricks. Whoever fears more grades in a container: Python cannot lock
up code that runs in its own process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

from bnkit.book.theirs import is_theirs

__all__ = ["MEMORY", "hide", "limit_resources", "raise_fence"]

MEMORY = 2 * 2**30  # bytes that an answer may ask for
_FILE = 16 * 2**20  # bytes of a file that it may write
_REFUSED = {
    "starting another process": "subprocess.Popen os.system os.exec os.posix_spawn os.spawn "
    "os.fork os.forkpty os.startfile pty.spawn",
    "ending another process": "os.kill os.killpg",
    "the network": "socket.connect socket.bind socket.sendto socket.getaddrinfo",
}
_EVENTS = {event: what for what, events in _REFUSED.items() for event in events.split()}
_WATCHES = {"sys.setprofile", "sys.settrace"}  # what tells a ready-made answer
_CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}
_CHANGES |= {"os.truncate", "os.chmod", "os.chown", "os.utime", "shutil.rmtree"}
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
        if event == "open":
            path, _, flags = args
            _look_at(path, bool(flags & _WRITING), inside, shut)
        elif event in _CHANGES:
            _look_at(args[0], True, inside, shut)

    _refuse_forks()
    sys.addaudithook(hook)


def _look_at(path: object, writes: bool, inside: str, shut: tuple[str, ...]) -> None:
    """Refuse a path that is not open to an answer."""
    if not isinstance(path, str | bytes | os.PathLike):
        return  # a file that is open already
    real = os.path.realpath(os.fsdecode(path))
    if real.startswith(inside) or real == os.devnull:
        return
    if writes:
        raise PermissionError("an answer that is graded writes no files outside its own folder")
    library = real.startswith(_LIBRARIES) and not real.startswith(_BOOK)
    if real.startswith((*shut, _BOOK)) and not library:
        raise PermissionError("an answer that is graded does not read the files of course and book")


def _refuse_forks() -> None:
    """Close the way to a new process that tells no audit hook."""
    with contextlib.suppress(ImportError):
        import _posixsubprocess

        _posixsubprocess.fork_exec = _refuse


def _refuse(*_: object) -> None:
    raise PermissionError("an answer that is graded has no use for starting another process")


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
