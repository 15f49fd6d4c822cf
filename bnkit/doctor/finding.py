"""One thing that the doctor found, and where to read about it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["SEVERITIES", "Finding", "address"]

SEVERITIES = ("error", "warning", "note")  # the gravest first


@dataclass(frozen=True)
class Finding:
    """One finding: where, how bad, the numbers, the reason and the mend.

    Args:
        check: The name of the check that found it, such as ``"variance-not-finite"``.
        severity: ``"error"`` (the answers are wrong, or will be), ``"warning"`` (they may be) or
            ``"note"`` (worth knowing; nothing is broken).
        layer: The layer's name in the model, or what is meant where it is no layer.
        evidence: What was measured, in a sentence.
        why: Why it matters, in one sentence.
        mend: Code that mends it.
        reread: The chapter and heading that explain it: ``"03_two_modes.ipynb#The equation"``.
        numbers: The evidence as numbers, by name.

    Example:
        >>> from torch import nn
        >>> from bnkit.doctor import examine
        >>> finding = examine(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()).findings[0]
        >>> finding.check, finding.severity, finding.layer
        ('untrained-statistics', 'error', '1')
    """

    check: str
    severity: str
    layer: str
    evidence: str
    why: str
    mend: str
    reread: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """0 for an error, 1 for a warning, 2 for a note."""
        return SEVERITIES.index(self.severity)

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values."""
        return {
            "check": self.check,
            "severity": self.severity,
            "layer": self.layer,
            "evidence": self.evidence,
            "numbers": dict(self.numbers),
            "why": self.why,
            "mend": self.mend,
            "chapter": address(self.reread),
        }


def address(reread: str) -> str:
    """A link to a heading: on the published site, or beside it where a page of it is made."""
    file, _, heading = reread.partition("#")
    anchor = "#" + re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") if heading else ""
    base = "" if os.environ.get("BNKIT_WIDGETS") == "baked" else _site()
    return base + file.replace(".ipynb", ".html") + anchor


@cache
def _site() -> str:
    """Where the chapters are published, from the repository that the package names."""
    try:
        urls = metadata("bnkit").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    found = re.search(r"github\.com/([\w.-]+)/([\w.-]+)", " ".join(urls))
    return f"https://{found[1].lower()}.github.io/{found[2]}/chapters/" if found else ""
