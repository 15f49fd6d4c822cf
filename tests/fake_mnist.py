"""A tiny stand-in for MNIST's official files, and a mirror that serves them."""

import gzip
import hashlib
import http.server
import struct
import threading
from pathlib import Path

import pytest
import torch
from torchvision.datasets import MNIST as TV_MNIST

from bnkit.data import files as mnist_files

SIZES = {"train": 12, "t10k": 5}


def idx(tensor: torch.Tensor) -> bytes:
    header = struct.pack(f">{1 + tensor.ndim}i", 2048 + tensor.ndim, *tensor.shape)
    return header + tensor.numpy().tobytes()


def contents() -> dict[str, bytes]:
    generator = torch.Generator().manual_seed(0)
    files = {}
    for part, n in SIZES.items():
        images = torch.randint(0, 256, (n, 28, 28), generator=generator, dtype=torch.uint8)
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx(torch.arange(n, dtype=torch.uint8) % 10)
    return files


def write(folder: Path, *, gzipped: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents().items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def fake_official(monkeypatch, tmp_path):
    """Take the fake files for the official ones; no place has them, and no mirror answers."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents().items()}
    monkeypatch.setattr(mnist_files, "OFFICIAL", sums)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("BNKIT_DATA", raising=False)
    monkeypatch.setattr(mnist_files, "TIMEOUT", 0.3)
    monkeypatch.setattr(TV_MNIST, "mirrors", ["http://127.0.0.1:9/"])
    zipped = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in contents().items()}
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in zipped.items()]
    monkeypatch.setattr(TV_MNIST, "resources", resources)


@pytest.fixture
def mirror(tmp_path, monkeypatch, fake_official):
    """A web server on this machine that has the gzipped files; yields their folder."""
    folder = write(tmp_path / "mirror", gzipped=True)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dead, alive = "http://127.0.0.1:9/", f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(TV_MNIST, "mirrors", [dead, alive])
        yield folder
        server.shutdown()
