"""The files behind `bnkit.data`: find them, read them, download them; checksums throughout."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import os
import re
import shutil
import socket
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from bnkit.storage import has_ended

__all__ = [
    "CorruptDataError",
    "cache_folder",
    "download_mnist",
    "find_mnist",
    "look_for_mnist",
    "read_bundled",
    "read_idx",
    "read_official",
]

# MD5 of the unpacked IDX files
OFFICIAL = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
BUNDLED = {
    "digits-images-idx3-ubyte": "63a563d3843dba5073e604e3a7990e87",
    "digits-labels-idx1-ubyte": "e6ef65212ddc6f9010e22d95b5269050",
}
ASSETS = Path(__file__).parents[1] / "assets"
TIMEOUT = 5.0  # seconds that a mirror may stay silent


class CorruptDataError(RuntimeError):
    """A data file whose contents are not those of the file it claims to be.

    Example:
        >>> raise CorruptDataError("train-labels-idx1-ubyte.gz: 3 bytes missing")
        Traceback (most recent call last):
            ...
        bnkit.data.files.CorruptDataError: train-labels-idx1-ubyte.gz: 3 bytes missing
    """


def cache_folder() -> Path:
    """Where downloads are kept: the user's cache, as the platform places it."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "bnkit"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "bnkit"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "bnkit"
    return Path.home() / ".cache" / "bnkit"


def find_mnist(folder: str | os.PathLike) -> list[Path]:
    """Find MNIST's four files, gzipped or raw, in a folder, its ``raw`` or its ``MNIST/raw``.

    They come as training images, training labels, test images, test labels; none gives an empty
    list, some without the others a FileNotFoundError, a closed folder a PermissionError. A file
    may also be named with a dot before ``idx``, and lie in a folder of its name, as on Kaggle.
    """
    folder = Path(folder).expanduser()
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        if _is_closed(place):
            raise PermissionError(f"cannot read the folder {place}")
        found = [next(filter(os.path.isfile, _spellings(place, name)), None) for name in OFFICIAL]
        if all(found):
            return found
        if any(found):
            missing = [name for name, path in zip(OFFICIAL, found, strict=True) if not path]
            raise FileNotFoundError(f"{place} lacks {', '.join(missing)} (or the same with .gz)")
    return []


def _is_closed(place: Path) -> bool:
    try:
        os.stat(place)
    except OSError as error:  # closed may be a folder above
        return isinstance(error, PermissionError)
    return not os.access(place, os.R_OK | os.X_OK)


def _spellings(place: Path, name: str) -> list[Path]:
    """Where a file may lie: with hyphens or dots, plain or gzipped, in a folder of its own."""
    dotted = name.replace("-idx", ".idx")
    files = [f"{stem}{end}" for stem in (name, dotted) for end in ("", ".gz")]
    own_folders = [place / stem / file for stem in (name, dotted) for file in files]
    return [*(place / file for file in files), *own_folders]


def look_for_mnist(root: str | os.PathLike | None = None, *, verbose: bool = True) -> list[Path]:
    """Look for MNIST's files in ``root``, then in ``$BNKIT_DATA``."""
    for name, folder in (("root", root), ("$BNKIT_DATA", os.environ.get("BNKIT_DATA"))):
        if folder and (files := find_mnist(folder)):
            return files
        if folder and verbose:
            print(f"MNIST: {name} = {folder} holds none of the official files, looking elsewhere")
    return []


def read_idx(path: str | os.PathLike, md5: str) -> Tensor:
    """Read an IDX file of bytes, gzipped if its name ends in ``.gz``, and verify its checksum.

    The MD5 is that of the unpacked contents; a CorruptDataError names the file and both checksums.
    """
    opener = gzip.open if os.fspath(path).endswith(".gz") else open
    content, problem = bytearray(), ""  # grows in place: the images are in memory once
    with opener(path, "rb") as file:
        try:
            while chunk := file.read(2**20):
                content += chunk
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            problem = f"unpacking fails after {len(content):,} bytes ({error}); "
    received = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if problem or received != md5:
        raise CorruptDataError(
            f"corrupt file {path}: {problem}MD5 {received}, expected {md5}; "
            "delete it, so that it is fetched again, or name another folder"
        )
    # torchvision's reader wants an unpacked file on disk, and copies; the checksum is verified
    shape = struct.unpack_from(f">{content[3]}i", content, offset=4)
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * len(shape)).view(shape)


def read_official(files: list[Path]) -> list[Tensor]:
    """Read the four files that `find_mnist` found: images (N, 28, 28) and labels (N,), twice."""
    return [read_idx(path, md5) for path, md5 in zip(files, OFFICIAL.values(), strict=True)]


def read_bundled() -> list[Tensor]:
    """Read the images and labels that ship with bnkit, in the order of MNIST's training set."""
    return [read_idx(ASSETS / f"{name}.gz", md5) for name, md5 in BUNDLED.items()]


def download_mnist(folder: str | os.PathLike, *, quiet: bool = False) -> list[Path]:
    """Download MNIST from torchvision's mirrors into ``folder/MNIST``, whole or not at all.

    The files come into a temporary folder beside their place, and move there once verified. A
    ConnectionError tells that no mirror has them or that torchvision cannot be used.
    """
    try:
        from torchvision.datasets import MNIST  # slow to import, and seldom needed
    except Exception as error:  # of another torch, or damaged: it may raise anything
        reason = f"{type(error).__name__} {error}".splitlines()[0].strip()
        raise ConnectionError(f"torchvision cannot be imported: {reason}") from error

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    prefix = f".download-{socket.gethostname()}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as temporary, _impatient():
        raw = Path(temporary, "MNIST", "raw")
        with contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
            for name, md5 in MNIST.resources:
                _download_file(MNIST.mirrors, raw, name, md5)
        _move_into(folder, raw.parent)
    return find_mnist(folder)


def _move_into(folder: Path, downloaded: Path) -> None:
    """Put the four files in place; of several processes the first one does."""
    try:
        downloaded.rename(folder / "MNIST")
    except OSError:
        place = folder / "MNIST" / "raw"
        place.mkdir(parents=True, exist_ok=True)
        for file in (downloaded / "raw").iterdir():  # whole files, over what was damaged
            os.replace(file, place / file.name)


def _sweep(folder: Path) -> None:
    """Remove what downloads that were killed have left; another machine's, once a day old."""
    for left in folder.glob(".download-*"):
        named = re.fullmatch(r"\.download-(.+)-(\d+)-\w+", left.name)
        if named and named[1] == socket.gethostname() and sys.platform != "win32":
            ended = has_ended(int(named[2]))
        else:
            ended = time.time() - left.stat().st_mtime > 24 * 3600
        if ended:
            shutil.rmtree(left, ignore_errors=True)


def _download_file(mirrors: list[str], folder: Path, name: str, md5: str) -> None:
    from torchvision.datasets.utils import download_url

    for mirror in mirrors:
        try:
            return download_url(mirror + name, folder, md5=md5)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            problem = getattr(error, "reason", error)
    raise ConnectionError(f"{name}: {problem}")


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
