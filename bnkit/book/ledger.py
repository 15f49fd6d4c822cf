"""The committed evidence: what `make evidence` measured with the full number of seeds."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from bnkit.book.evidence import Difference, holm, verdict_of

__all__ = ["difference_of", "judge", "read_ledger"]


@cache
def read_ledger() -> dict[str, dict]:
    """The committed file: ``claims`` and ``tuning``, each by id, and ``runs`` by chapter."""
    text = files("bnkit.book").joinpath("evidence.json").read_text(encoding="utf-8")
    return json.loads(text)


def difference_of(row: dict) -> Difference:
    """A comparison as it was recorded, computed again from its values."""
    names = ("label", "unit", "margin", "equal", "step")
    return Difference(tuple(row["values"]), *(row[name] for name in names))


def judge(claims: dict[str, dict]) -> None:
    """Write interval, p, adjusted p, outcome and verdict into every claim of the ledger.

    All comparisons of all claims are one family (Holm). Those that decide nothing stand beside it.
    """
    rows = [row for claim in claims.values() for row in claim["evidence"]]
    differences = [difference_of(row) for row in rows]
    adjusted = holm([d.p for d in differences])
    for row, d, p in zip(rows, differences, adjusted, strict=True):
        row |= _numbers(d) | {"adjusted": p}
        row |= {"outcome": d.outcome(p), "seeds_to_decide": d.seeds_to_decide()}
    for claim in claims.values():
        for row in claim.get("also", []):
            row |= _numbers(difference_of(row))
        if found := claim["evidence"]:
            ps = [row["adjusted"] for row in found]
            claim["verdict"] = verdict_of([difference_of(row) for row in found], ps)


def _numbers(d: Difference) -> dict[str, float]:
    low, high = d.interval()
    return {"mean": d.mean, "low": low, "high": high, "n": d.n, "p": d.p}
