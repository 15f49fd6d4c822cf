"""Every check by name: what it looks for, from which number on, why, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bnkit.doctor.finding import Finding
from bnkit.doctor.patient import Patient

__all__ = ["CHECKS", "GROUPS", "Check", "Hit", "check", "run_checks"]

GROUPS = ("state", "mode", "structure", "training")
WHOLE = ("the model", "the loader", "the loss")  # what is true of these is true of every layer
ALL = "all"


@dataclass(frozen=True)
class Hit:
    """What one check says of one layer; a severity other than the check's own is named."""

    layer: str
    evidence: str
    numbers: dict[str, float] = field(default_factory=dict)
    severity: str = ""


Look = Callable[[Patient], Iterable[Hit]]


@dataclass(frozen=True)
class Check:
    """A check: what it needs and says. ``cause_of`` names checks that see only its effects."""

    name: str
    group: str
    severity: str
    title: str
    formula: str
    threshold: str
    why: str
    mend: str
    reread: str
    look: Look
    needs: str = "the model"
    cause_of: tuple[str, ...] = ()

    def findings(self, patient: Patient) -> list[Finding]:
        """Look at a patient."""
        return [
            Finding(
                self.name, hit.severity or self.severity, hit.layer, hit.evidence,
                self.why, self.mend.replace("LAYER", hit.layer), self.reread, hit.numbers,
            )
            for hit in self.look(patient)
        ]  # fmt: skip


CHECKS: dict[str, Check] = {}


def check(name: str, **facts: object) -> Callable[[Look], Look]:
    """Enter a function into the registry, with what the sheet of findings says of it."""

    def enter(look: Look) -> Look:
        CHECKS[name] = Check(name=name, look=look, **facts)
        return look

    return enter


def run_checks(patient: Patient) -> list[Finding]:
    """All findings, the gravest first; an effect is left out where its cause was named."""
    found = [finding for entry in CHECKS.values() for finding in entry.findings(patient)]
    explained = set(_explained(found))
    found = [f for f in found if not _is_explained(f, explained)]
    names = list(CHECKS)
    return sorted(found, key=lambda f: (f.rank, names.index(f.check)))


def _is_explained(finding: Finding, explained: set[tuple[str, str]]) -> bool:
    if finding.layer in WHOLE:
        return any(effect == finding.check for effect, _ in explained)
    return bool({(finding.check, finding.layer), (finding.check, ALL)} & explained)


def _explained(found: list[Finding]) -> Iterator[tuple[str, str]]:
    for finding in found:
        for effect in CHECKS[finding.check].cause_of:
            yield effect, ALL if finding.layer in WHOLE else finding.layer
