"""Batch normalization in PyTorch, written to be read.

Example:
    >>> import bnkit
    >>> bnkit.__version__
    '0.1.0'
"""

__all__ = ["__version__"]
__version__ = "0.1.0"
