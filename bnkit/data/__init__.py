"""MNIST in memory: find the files, read them, make batches.

Example:
    >>> bundled_mnist()
    MNIST (bundled): 9,000 training digits, 1,000 test digits
"""

from bnkit.data.files import CorruptDataError
from bnkit.data.loader import BatchLoader
from bnkit.data.mnist import MNIST, bundled_mnist, digits_here, load_mnist, mnist_loaders

__all__ = [
    "MNIST",
    "BatchLoader",
    "CorruptDataError",
    "bundled_mnist",
    "digits_here",
    "load_mnist",
    "mnist_loaders",
]
