"""Which seeds a measurement uses: few in the page, twenty for the ledger, others for tuning."""

from __future__ import annotations

import os

__all__ = ["FULL", "gathering", "seeds"]

FULL = 20  # seeds of `make evidence`


def gathering() -> bool:
    """Whether `make evidence` runs, which takes the full number of seeds and tunes anew."""
    return bool(os.environ.get("BNKIT_SEEDS"))


def seeds(quick: int) -> list[int]:
    """The seeds of a report: ``quick`` in the page, as many as ``$BNKIT_SEEDS`` for the ledger.

    Args:
        quick: how many the page takes; the ledger's contain them.

    Returns:
        The seeds 0, 1, 2, ...

    Example:
        >>> seeds(4)
        [0, 1, 2, 3]
    """
    return list(range(int(os.environ.get("BNKIT_SEEDS") or quick)))
