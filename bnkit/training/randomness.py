"""The random generators that a training draws from."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["generators", "random_state", "set_random_state", "set_seed"]


def set_seed(seed: int) -> None:
    """Seed Python, PyTorch on every device and, if it is loaded, NumPy.

    Args:
        seed: The seed. The same seed repeats a run bit by bit for one number of threads.

    Example:
        >>> set_seed(0)
        >>> a = torch.rand(3)
        >>> set_seed(0)
        >>> torch.equal(a, torch.rand(3))
        True
    """
    random.seed(seed)
    torch.manual_seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


def random_state() -> dict[str, Any]:
    """Read what `set_seed` sets, as tensors and plain values."""
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if "numpy" in sys.modules:
        kind, keys, *rest = sys.modules["numpy"].random.get_state()
        state["numpy"] = (kind, torch.tensor(keys.tolist()), *rest)
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` read; a generator that is not here is passed over."""
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "numpy" in state and "numpy" in sys.modules:
        kind, keys, *rest = state["numpy"]
        sys.modules["numpy"].random.set_state((kind, keys.numpy(), *rest))


def generators(loaders: Iterable[object]) -> list[torch.Generator]:
    """Find the loaders' own generators, which decide the order of their samples, each once.

    A `BatchLoader` or ``DataLoader`` has it as ``generator``, or its ``sampler`` has.
    """
    sources = [source for loader in loaders for source in (loader, getattr(loader, "sampler", 0))]
    found = [getattr(source, "generator", None) for source in sources]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())
