"""Weigh the data that loaders keep in memory."""

from __future__ import annotations

from bnkit.data import load_mnist, mnist_loaders

BATCH_SIZE = 64


def measure() -> dict:
    """Bytes of pixels that loaders and a batch hold, and of the bytes and one float batch."""
    data = load_mnist(verbose=False)
    loaders = mnist_loaders(BATCH_SIZE, data=data)
    batch, _ = next(iter(loaders[0]))
    held = {loader.images.data_ptr(): loader.images.nbytes for loader in loaders}
    pixels = data.train_images.nbytes + data.test_images.nbytes
    rest = [data.train_labels, data.test_labels, *(loader.indices for loader in loaders[:2])]
    return {
        "source": data.source,
        "held": sum(held.values()) + batch.nbytes,
        "allowed": pixels + BATCH_SIZE * 784 * 4,
        "as_floats": 4 * pixels,
        "labels_and_order": sum(tensor.nbytes for tensor in rest),
    }
