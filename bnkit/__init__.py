"""Batch normalization in PyTorch, written to be read.

Example:
    >>> import bnkit
    >>> bnkit.functional.batch_norm.__name__
    'batch_norm'
"""

from importlib import import_module
from types import ModuleType

__all__ = [
    "__version__",
    "cli",
    "data",
    "distributed",
    "doctor",
    "functional",
    "layers",
    "models",
    "plots",
    "relatives",
    "training",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """Import a part when it is first used: `import bnkit` alone needs no torch."""
    if name in __all__:
        return import_module(f"bnkit.{name}")
    raise AttributeError(f"module 'bnkit' has no attribute {name!r}")
