"""MNIST in memory: the official files, or the 10,000 digits that ship with bnkit.

Images stay bytes; a batch becomes floats when it is asked for.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from bnkit.data.files import (
    CorruptDataError,
    cache_folder,
    download_mnist,
    find_mnist,
    look_for_mnist,
    read_bundled,
    read_official,
)
from bnkit.data.loader import BatchLoader

__all__ = ["MNIST", "bundled_mnist", "digits_here", "load_mnist", "mnist_loaders"]

BUNDLED_TEST = 1_000


@dataclass(frozen=True, eq=False, repr=False)
class MNIST:
    """The digits, in memory.

    Attributes:
        train_images: uint8 of shape (N, 28, 28).
        train_labels: int64 of shape (N,).
        test_images: uint8 of shape (M, 28, 28).
        test_labels: int64 of shape (M,).
        source: ``"official"`` (60,000 and 10,000 digits) or ``"bundled"`` (9,000 and 1,000).

    Example:
        >>> bundled_mnist().test_images.shape
        torch.Size([1000, 28, 28])
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str

    def __repr__(self) -> str:
        train, test = len(self.train_labels), len(self.test_labels)
        return f"MNIST ({self.source}): {train:,} training digits, {test:,} test digits"


def load_mnist(
    root: str | os.PathLike | None = None, *, download: bool = True, verbose: bool = True
) -> MNIST:
    """Load MNIST from the first place that has it.

    The official files, gzipped or raw, are looked for in ``root``, ``$BNKIT_DATA`` and the user's
    cache, each in the folder itself, its ``raw`` or its ``MNIST/raw`` (torchvision's shape). Else
    they are downloaded into the cache from torchvision's mirrors. Else, with one line that says
    so, the digits that ship with bnkit are used. ``BNKIT_DATA=bundled`` asks for these at once.

    Args:
        root: Folder to look in first.
        download: Whether to download what is found nowhere.
        verbose: Whether to print what is missing and the progress of a download.

    Returns:
        The digits; ``source`` tells which.

    Raises:
        CorruptDataError: A file's checksum is not the official one.
        FileNotFoundError: A folder has some of the four files, not all.

    Example:
        >>> mnist = load_mnist(download=False, verbose=False)
        >>> mnist.train_images.dtype, mnist.train_labels.dtype
        (torch.uint8, torch.int64)

    Source:
        LeCun, Cortes and Burges, *The MNIST database of handwritten digits*.
    """
    if root is None and os.environ.get("BNKIT_DATA") == "bundled":
        if verbose:
            print("MNIST: the 10,000 digits that ship with bnkit, as $BNKIT_DATA asks")
        return bundled_mnist()
    files = look_for_mnist(root, verbose=verbose)
    if files:
        return _official(read_official(files))
    try:
        return _official(_from_cache(download, verbose))
    except OSError as error:
        problem = f" ({error})" if str(error) else ""
    if verbose:
        digits = "the 10,000 digits that ship with bnkit (9,000 to train, 1,000 to test, shuffled)"
        print(f"MNIST: no official files{problem}: using {digits}")
    return bundled_mnist()


def digits_here() -> str:
    """Which digits `load_mnist` finds without a download.

    Returns:
        ``"official"`` or ``"bundled"``.

    Example:
        >>> digits_here() in ("official", "bundled")
        True
    """
    if os.environ.get("BNKIT_DATA") == "bundled":
        return "bundled"
    found = look_for_mnist(None, verbose=False) or find_mnist(cache_folder())
    return "official" if found else "bundled"


def _from_cache(download: bool, verbose: bool) -> list[Tensor]:
    """The files of bnkit's own cache; what is missing or damaged there is fetched again."""
    problems = []
    try:
        if files := find_mnist(cache_folder()):
            return read_official(files)
    except (CorruptDataError, FileNotFoundError) as error:
        problems.append(str(error))
    if not download:
        raise FileNotFoundError(*problems)
    try:
        parts = read_official(download_mnist(cache_folder(), quiet=not verbose))
    except OSError as error:
        raise ConnectionError("; ".join([*problems, f"no download: {error}"])) from error
    if problems and verbose:
        print(f"MNIST: {problems[0]}: fetched it again")
    return parts


def _official(parts: list[Tensor]) -> MNIST:
    train_images, train_labels, test_images, test_labels = parts
    return MNIST(train_images, train_labels.long(), test_images, test_labels.long(), "official")


def bundled_mnist() -> MNIST:
    """Load the 10,000 digits that ship with bnkit, the first of MNIST's training set.

    The order of the file is not random, so it is shuffled once, in a fixed way, before the split.

    Returns:
        9,000 training and 1,000 test digits, disjoint, the same on every machine.

    Example:
        >>> bundled_mnist().train_images.shape
        torch.Size([9000, 28, 28])
    """
    images, labels = read_bundled()
    rng = random.Random(0)  # Python promises that its random() never changes
    order = torch.tensor(sorted(range(len(labels)), key=lambda _: rng.random()))
    test, train = order[:BUNDLED_TEST], order[BUNDLED_TEST:]
    labels = labels.long()
    return MNIST(images[train], labels[train], images[test], labels[test], "bundled")


def mnist_loaders(
    batch_size: int = 64,
    *,
    val_fraction: float = 0.2,
    seed: int = 0,
    data: MNIST | None = None,
    limit: int | None = None,
) -> tuple[BatchLoader, BatchLoader | None, BatchLoader]:
    """Split MNIST's training set into train and validation and make the three loaders.

    Args:
        batch_size: Samples a batch. A last training batch of one sample, of which batch
            normalization can make no statistics, is left out.
        val_fraction: Part of the training set that validates; 0 gives no validation loader.
        seed: Seed of the split and of the training order.
        data: The digits; ``None`` loads them with `load_mnist`.
        limit: Use at most so many digits of the training set, for train and validation together.

    Returns:
        ``train_loader`` (shuffled each epoch), ``val_loader`` and ``test_loader``.

    Raises:
        ValueError: ``val_fraction`` is not in [0, 1) or ``limit`` is below 1.

    Example:
        >>> loaders = mnist_loaders(data=bundled_mnist(), limit=1000)
        >>> [loader.num_samples for loader in loaders]
        [800, 200, 1000]
    """
    if not 0 <= val_fraction < 1:
        raise ValueError(f"expected val_fraction in [0, 1), got {val_fraction}")
    if limit is not None and limit < 1:
        raise ValueError(f"expected limit of at least 1, got {limit}")
    data = load_mnist() if data is None else data
    images, labels = data.train_images, data.train_labels
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:limit]
    num_val = round(val_fraction * len(order))
    val, train = order[:num_val], order[num_val:]
    single = len(train) % batch_size == 1
    train_loader = BatchLoader(
        images, labels, batch_size, shuffle=True, seed=seed, indices=train, drop_last=single
    )
    val_loader = BatchLoader(images, labels, batch_size, indices=val) if num_val else None
    return train_loader, val_loader, BatchLoader(data.test_images, data.test_labels, batch_size)
