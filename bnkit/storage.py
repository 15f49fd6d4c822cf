"""Files that are written whole or not at all, and read without running anything."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

__all__ = ["has_ended", "load_tensors", "readable", "save_tensors", "write_whole"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.Tensor, torch.nn.Parameter)


def write_whole(path: str | os.PathLike, content: bytes) -> None:
    """Write a file beside its place, make sure that the disk has it, then rename it.

    Whatever goes wrong, a power cut included, ``path`` holds all of the new content or all of the
    old; an OSError of one line names it.
    """
    place = Path(os.path.realpath(path))  # a link stays one
    begun = f".{zlib.crc32(os.fsencode(place.name)):08x}"  # short, however long the name is
    temporary = place.with_name(f"{begun}.{os.getpid()}.tmp")
    try:
        _sweep(place.parent.glob(f"{begun}.*.tmp"))
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        kept = "; the previous file is kept" if os.path.isfile(path) else ""
        reason = error.strerror or error
        raise OSError(error.errno, f"cannot write {os.fspath(path)!r}: {reason}{kept}") from None
    finally:
        with contextlib.suppress(OSError):  # in a folder that became read-only
            temporary.unlink(missing_ok=True)


def _sweep(files: Iterable[Path]) -> None:
    """Remove what a process left that was killed while it wrote."""
    for file in files:
        if has_ended(int(file.name.split(".")[-2])):
            file.unlink(missing_ok=True)


def has_ended(pid: int) -> bool:
    """Whether this machine has no such process any more; Windows cannot be asked."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def save_tensors(state: Any, path: str | os.PathLike) -> None:
    """Write tensors and plain values with ``torch.save``, whole or not at all."""
    buffer = io.BytesIO()  # PyTorch's own writer reports a full disk as a RuntimeError of C++
    torch.save(state, buffer)
    write_whole(path, buffer.getvalue())


def readable(value: Any, name: str) -> Any:
    """Give a state as `load_tensors` can read it back, numbers of NumPy as Python's.

    What is neither a tensor nor a plain value, and no dictionary, list or tuple of such, is a
    ValueError with its name, such as ``settings.lr``.
    """
    if type(value) in _PLAIN:
        return value
    if "numpy" in sys.modules and isinstance(value, sys.modules["numpy"].generic):
        return readable(value.item(), name)
    if type(value) in (dict, OrderedDict):
        parts = copy.copy(value)  # with a model's metadata
        parts.clear()
        parts.update({readable(k, name): readable(v, f"{name}.{k}") for k, v in value.items()})
        return parts
    if type(value) in (list, tuple):
        return type(value)(readable(part, f"{name}.{i}") for i, part in enumerate(value))
    if not _reads_back(value):
        kind = type(value).__qualname__
        raise ValueError(f"expected tensors and plain values in a file, got {name} of {kind}")
    return value


def _reads_back(value: Any) -> bool:
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except Exception:  # pickle's and torch's of many kinds
        return False
    return True


def load_tensors(path: str | os.PathLike) -> Any:
    """Read what `save_tensors` wrote, on the CPU; damage and anything else is a ValueError.

    ``weights_only=True`` admits tensors and plain values alone: a pickle that would run code is
    refused.
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        return torch.load(_verified(content), weights_only=True, map_location="cpu")
    except Exception as error:  # pickle, zip and struct errors, several lines each
        kind = str(error) if isinstance(error, DamagedError) else type(error).__name__
        expected = "expected tensors and plain values alone (weights_only=True)"
        raise ValueError(f"cannot load {str(path)!r}: {expected}, got {kind}") from error


class DamagedError(ValueError):
    """A file whose checksums do not fit its contents."""


def _verified(content: io.BytesIO) -> io.BytesIO:
    """Copy what the checksums in the file vouch for: PyTorch looks at none of them.

    In a copy no flag of the archive's directory, which has no checksum, can mislead it.
    """
    if not zipfile.is_zipfile(content):
        content.seek(0)
        return content
    copied = io.BytesIO()
    with zipfile.ZipFile(content) as archive, zipfile.ZipFile(copied, "w") as copy_:
        if damaged := archive.testzip():
            raise DamagedError(f"a damaged file ({damaged} has another checksum)")
        for entry in archive.infolist():
            copy_.writestr(entry.filename, archive.read(entry))
    copied.seek(0)
    return copied
