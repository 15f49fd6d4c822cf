"""Time `bnkit.training.fit` against the plain torchvision recipe, and weigh the data.

All recipes train the reference network on one thread, take turns in one process, and are timed by
its CPU time rather than the clock on the wall, so that a busy neighbor matters less.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from torchvision import datasets
from torchvision.transforms import ToTensor

from bnkit.data import MNIST, load_mnist, mnist_loaders
from bnkit.models import BatchNormNet
from bnkit.training import fit

BATCH_SIZE = 64
SAMPLES = 100 * BATCH_SIZE  # of each recipe in each round; bundled digits suffice
LIMITS = {"torch": 3.2, "bnkit": 3.0}


def fit_ratios(rounds: int = 9) -> list[dict]:
    """One row per norm: samples a second of both recipes, and the ratio of each round."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = load_mnist()
        with raw_files(data) as root:
            dataset = datasets.MNIST(root, train=True, transform=ToTensor())
            return measure(Subset(dataset, range(SAMPLES)), data, rounds)
    finally:
        torch.set_num_threads(threads)


def measure(dataset: Subset, data: MNIST, rounds: int) -> list[dict]:
    recipes = {"plain": lambda: plain_recipe(dataset)}
    for norm in LIMITS:
        recipes[norm] = lambda norm=norm: bnkit_recipe(data, norm)
    for recipe in recipes.values():  # a process's first optimizer step imports a second's worth
        recipe()
    rates = {name: [] for name in recipes}
    for _ in range(rounds):
        for name, recipe in recipes.items():
            rates[name].append(samples_per_second(recipe))
    return [
        {
            "norm": norm,
            "plain": rates["plain"],
            "bnkit": rates[norm],
            "ratios": [a / b for a, b in zip(rates[norm], rates["plain"], strict=True)],
            "limit": limit,
        }
        for norm, limit in LIMITS.items()
    ]


def samples_per_second(recipe: Callable[[], None]) -> float:
    start = time.process_time()
    recipe()
    return SAMPLES / (time.process_time() - start)


def plain_recipe(dataset: Subset) -> None:
    """What most tutorials do: an image and a tensor for each digit, default Adam."""
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)
    model = BatchNormNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    total = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)


def bnkit_recipe(data: MNIST, norm: str) -> None:
    loader, _, _ = mnist_loaders(BATCH_SIZE, val_fraction=0, data=data, limit=SAMPLES)
    fit(BatchNormNet(norm=norm), loader, epochs=1, progress=False, device="cpu")


def data_memory() -> dict:
    """Bytes of pixels that loaders and a batch hold, and of the bytes and one float batch."""
    data = load_mnist(verbose=False)
    loaders = mnist_loaders(BATCH_SIZE, data=data)
    batch, _ = next(iter(loaders[0]))
    held = {loader.images.data_ptr(): loader.images.nbytes for loader in loaders}
    pixels = data.train_images.nbytes + data.test_images.nbytes
    one_batch = BATCH_SIZE * 784 * 4
    rest = [data.train_labels, data.test_labels, *(loader.indices for loader in loaders[:2])]
    return {
        "source": data.source,
        "held": sum(held.values()) + batch.nbytes,
        "allowed": pixels + one_batch,
        "as_floats": 4 * pixels,
        "labels_and_order": sum(tensor.nbytes for tensor in rest),
    }


@contextlib.contextmanager
def raw_files(data: MNIST) -> Iterator[str]:
    """A temporary folder with the digits as torchvision wants them: raw IDX."""
    tensors = {
        "train-images-idx3-ubyte": data.train_images,
        "train-labels-idx1-ubyte": data.train_labels.byte(),
        "t10k-images-idx3-ubyte": data.test_images,
        "t10k-labels-idx1-ubyte": data.test_labels.byte(),
    }
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "MNIST", "raw")
        os.makedirs(folder)
        for name, tensor in tensors.items():
            header = struct.pack(f">{1 + tensor.ndim}i", 2048 + tensor.ndim, *tensor.shape)
            Path(folder, name).write_bytes(header + tensor.numpy().tobytes())
        yield root
