"""Time `bnkit.training.fit` against other ways to train the same network.

All train the reference network on one thread, take turns in one process, and are timed by its CPU
time. What a way builds before training (network, optimizer, trainer) stays outside the clock.
"""

from __future__ import annotations

import contextlib
import os
import random
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

from bench.trainers import lightning_trainer, skorch_trainer
from bnkit.data import MNIST, load_mnist, mnist_loaders
from bnkit.data.loader import BatchLoader
from bnkit.models import BatchNormNet
from bnkit.training import fit

BATCH_SIZE = 64
SAMPLES = 100 * BATCH_SIZE  # an epoch; bundled digits suffice
EPOCHS = 10
Run = Callable[[], object]


def measure(rounds: int = 7) -> dict:
    """The source of the digits, and samples a second of each way in each round."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = load_mnist()
        with raw_files(data) as root:
            dataset = datasets.MNIST(root, train=True, transform=ToTensor())
            ways = ways_to_train(Subset(dataset, range(SAMPLES)), data)
            return {
                "source": data.source,
                "rates": rates(ways, rounds),
                "lightning_setup": setup_share(data),
            }
    finally:
        torch.set_num_threads(threads)


def ways_to_train(dataset: Subset, data: MNIST) -> dict[str, Callable[[], Run]]:
    """Each makes ready, and returns what is timed."""

    def loader() -> BatchLoader:
        return mnist_loaders(BATCH_SIZE, val_fraction=0, data=data, limit=SAMPLES)[0]

    def fitted(norm: str) -> Run:
        batches, model = loader(), BatchNormNet(norm=norm)
        return lambda: fit(model, batches, epochs=EPOCHS, progress=False, device="cpu")

    return {
        "plain": lambda: plain_recipe(dataset),
        "floor": lambda: bare_loop(loader()),
        "lightning": lambda: lightning_trainer(loader(), EPOCHS),
        "skorch": lambda: skorch_trainer(loader(), EPOCHS),
        "fit torch": lambda: fitted("torch"),
        "fit bnkit": lambda: fitted("bnkit"),
    }


def rates(ways: dict[str, Callable[[], Run]], rounds: int) -> dict[str, list[float]]:
    for make_ready in ways.values():  # a process's first optimizer step imports a second's worth
        make_ready()()
    order, shuffle = list(ways), random.Random(0).shuffle
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            run = ways[name]()
            start = time.process_time()
            run()
            found[name].append(EPOCHS * SAMPLES / (time.process_time() - start))
    return found


def setup_share(data: MNIST) -> float:
    """The part of Lightning's time that a run of one step takes, which is nearly all set-up."""
    seconds = []
    for samples, epochs in ((BATCH_SIZE, 1), (SAMPLES, EPOCHS)):
        loader = mnist_loaders(BATCH_SIZE, val_fraction=0, data=data, limit=samples)[0]
        run = lightning_trainer(loader, epochs)
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return seconds[0] / seconds[1]


def plain_recipe(dataset: Subset) -> Run:
    """What most tutorials do: an image and a tensor for each digit, default Adam."""
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)
    model = BatchNormNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> None:
        model.train()
        for _ in range(EPOCHS):
            total = 0.0
            for images, labels in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(images)

    return run


def bare_loop(loader: BatchLoader) -> Run:
    """The floor: the same arithmetic on one batch, with nothing to load and nothing to record."""
    x, y = next(iter(loader))
    model = BatchNormNet().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        for _ in range(EPOCHS * len(loader)):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


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
