"""The states of the random generators that a training draws from.

Example:
    >>> state = random_state()
    >>> first = torch.rand(2)
    >>> set_random_state(state)
    >>> torch.equal(first, torch.rand(2))
    True
"""

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
    """Read what `set_seed` sets.

    Returns:
        Tensors and plain values alone, so that loading them need not unpickle anything else.

    Example:
        >>> sorted(random_state())[-2:]
        ['python', 'torch']
    """
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if "numpy" in sys.modules:
        kind, keys, *rest = sys.modules["numpy"].random.get_state()
        state["numpy"] = (kind, torch.tensor(keys.tolist()), *rest)
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` read; a generator that is not here is passed over.

    Args:
        state: What it returned.
    """
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "numpy" in state and "numpy" in sys.modules:
        kind, keys, *rest = state["numpy"]
        sys.modules["numpy"].random.set_state((kind, keys.numpy(), *rest))


def generators(loaders: Iterable[object]) -> list[torch.Generator]:
    """Find the loaders' own generators, which decide the order of their samples.

    Args:
        loaders: `BatchLoader`s, ``DataLoader``s, or anything with a ``generator`` or a
            ``sampler`` that has one.

    Returns:
        The generators, each once, in the order of the loaders.

    Example:
        >>> generators([[], None])
        []
    """
    sources = [source for loader in loaders for source in (loader, getattr(loader, "sampler", 0))]
    found = [getattr(source, "generator", None) for source in sources]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())
