"""Comparisons over seeds: paired differences, Student's t, equivalence within a margin, Holm.

The unit is the seed. A comparison that predicts a difference is tested against zero, one that
predicts none is tested against a margin, which has to be named before the result is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

__all__ = ["LEVEL", "Difference", "against_theory", "holm", "paired_difference", "verdict_of"]

LEVEL = 0.05  # of a verdict, over all comparisons of the ledger together
_POWERED = 0.8  # chance to decide that `seeds_to_decide` aims at
_shown: list[Difference] = []  # made or formatted since the last claim


@dataclass(frozen=True)
class Difference:
    r"""What several seeds say about one side minus the other.

    The interval is :math:`\bar d \pm t_{n-1}\, s / \sqrt n`, with :math:`s` the standard deviation
    of the differences.

    Attributes:
        values: one difference a seed, in ``unit``.
        label: what is compared, such as ``"BN minus plain, batch 2"``.
        unit: of the values, such as ``"points"``.
        margin: differences within it make no difference in practice, however clear they are;
            ``None`` if none is named.
        equal: whether the claim predicts that there is no difference.
        step: distance between the values that could have come out, where they lie on a grid.

    Example:
        >>> d = Difference((0.9, 1.1, 1.2, 0.8), "BN minus plain")
        >>> print(d)
        BN minus plain: +1.00 points [+0.71, +1.29], 4 seeds
        >>> d.outcome()
        'for'
    """

    values: tuple[float, ...]
    label: str
    unit: str = "points"
    margin: float | None = None
    equal: bool = False
    step: float = 0.0

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean of the differences."""
        return math.fsum(self.values) / self.n

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; on a grid at least what rounding two values gives."""
        variance = math.fsum((v - self.mean) ** 2 for v in self.values) / (self.n - 1)
        return math.sqrt(max(variance, self.step**2 / 6))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean."""
        return self.spread / math.sqrt(self.n)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval of this level, with n - 1 degrees of freedom."""
        half = float(stdtrit(self.n - 1, (1 + level) / 2)) * self.standard_error
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Two-sided p of no difference; with ``equal``, p of one as large as the margin (TOST)."""
        if self.equal:
            return self._tail((self.margin - abs(self.mean)) / self.standard_error)
        return min(1.0, 2 * self._tail(abs(self.mean) / self.standard_error))

    def _tail(self, t: float) -> float:
        return float(stdtr(self.n - 1, -t))

    def within_margin(self) -> bool:
        """Whether the 90 % interval lies within the margin."""
        low, high = self.interval(0.9)
        return self.margin is not None and -self.margin < low and high < self.margin

    def outcome(self, p: float | None = None) -> str:
        """What it says of the claim: ``for``, ``against``, ``no difference`` or ``open``.

        Args:
            p: adjusted p to judge by; its own if left out.
        """
        p = self.p if p is None else p
        if self.equal:
            low, high = self.interval()
            outside = low > self.margin or high < -self.margin
            return "for" if p < LEVEL else "against" if outside else "open"
        if self.within_margin():  # also where it is clear: so little does not matter
            return "no difference"
        if p >= LEVEL:
            return "open"
        return "for" if self.mean > 0 else "against"

    def seeds_to_decide(self) -> int:
        """About how many seeds would decide, were mean and spread what they seem to be."""
        distances = [] if self.equal else [abs(self.mean)]
        if self.margin is not None:
            distances.append(max(self.margin - abs(self.mean), 0.0))
        distance = max(distances) / self.spread
        if distance == 0:
            return 10_000
        z = float(stdtrit(10_000, 1 - LEVEL / 2) + stdtrit(10_000, _POWERED))
        return min(10_000, math.ceil((z / distance) ** 2) + 2)

    def __str__(self) -> str:
        return f"{self.label}: {self:+.2f}, {self.n} seeds"

    def __format__(self, spec: str) -> str:
        """Mean, unit and 95 % interval: ``f"{gap:+.1f}"`` is ``+0.8 points [+0.3, +1.3]``."""
        if not spec:
            return str(self)
        _shown.append(self)
        low, high = self.interval()
        return f"{self.mean:{spec}} {self.unit} [{low:{spec}}, {high:{spec}}]".replace("  ", " ")


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    label: str,
    unit: str = "points",
    *,
    margin: float | None = None,
    equal: bool = False,
    step: float = 0.0,
) -> Difference:
    """The differences ``a - b`` of pairs that share a seed.

    Args:
        a: the values on the side that the claim favors, one a seed.
        b: the values on the other side, in the same order of seeds.
        label: what is compared, unique within its claim.
        unit: of the values.
        margin: a difference that would not matter in practice.
        equal: whether the claim predicts no difference; it then needs a margin.
        step: distance between possible values, where a and b lie on a grid.

    Returns:
        A :class:`Difference`.

    Raises:
        ValueError: if the two differ in length or hold fewer than three pairs, if all differences
            are the same and no ``step`` is given, or if ``equal`` has no margin.

    Example:
        >>> paired_difference([95, 96, 97], [90, 92, 91], "BN minus plain").outcome()
        'for'
        >>> paired_difference([95, 96, 97], [96, 95, 97], "BN minus plain").outcome()
        'open'
    """
    if len(a) != len(b) or len(a) < 3:
        raise ValueError(f"expected at least 3 pairs, received {len(a)} and {len(b)} values")
    if equal and not margin:
        raise ValueError(f"{label!r} predicts no difference: expected a margin, received {margin}")
    values = tuple(float(x) - float(y) for x, y in zip(a, b, strict=True))
    if len(set(values)) == 1 and not step:
        raise ValueError(
            f"{label!r}: expected differences that vary, or step= for values on a grid, "
            f"received {len(values)} times {values[0]:g}"
        )
    made = Difference(values, label, unit, margin, equal, step)
    _shown.append(made)
    return made


def against_theory(
    values: Sequence[float], expected: float, label: str, unit: str, *, margin: float
) -> Difference:
    """Measured values minus what a theory predicts, which has to be within the margin.

    Args:
        values: one a seed.
        expected: the value predicted.
        label: what is compared.
        unit: of the values.
        margin: the deviation up to which the theory describes the measurement.

    Returns:
        A :class:`Difference` that predicts none.

    Example:
        >>> against_theory([1.46, 1.45, 1.47], 1.467, "growth", "a layer", margin=0.05).outcome()
        'for'
    """
    theory = [expected] * len(values)
    return paired_difference(values, theory, label, unit, margin=margin, equal=True)


def holm(ps: Sequence[float]) -> list[float]:
    r"""Adjusted p values that keep the family-wise error at the level (Holm, 1979).

    The i-th smallest becomes :math:`\max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})`.

    Args:
        ps: the p values of all comparisons of the family.

    Returns:
        The adjusted values, in the same order.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted


def verdict_of(evidence: Sequence[Difference], ps: Sequence[float] | None = None) -> str:
    """The verdict that several comparisons make together.

    ``holds`` if all speak for the claim, ``holds partly`` if some do, ``does not hold here`` if
    none does and at least one speaks against it, ``practically no difference`` if all lie within
    their margins, else ``undecided``.

    Args:
        evidence: differences signed so that positive speaks for the claim.
        ps: their adjusted p values; their own if left out.

    Returns:
        A key of ``claims.VERDICTS``.

    Raises:
        ValueError: if there is no difference to judge by.

    Example:
        >>> clear, open_ = Difference((0.5, 0.6, 0.4), "a"), Difference((0.5, -0.6, 0.4), "b")
        >>> verdict_of([clear, open_])
        'holds partly'
    """
    if not evidence:
        raise ValueError("expected at least one difference, received none")
    ps = [d.p for d in evidence] if ps is None else ps
    outcomes = {d.outcome(p) for d, p in zip(evidence, ps, strict=True)}
    if "for" in outcomes:
        return "holds" if outcomes == {"for"} else "holds partly"
    if "against" in outcomes:
        return "does not hold here"
    return "practically no difference" if outcomes == {"no difference"} else "undecided"


def shown_since_last_claim() -> list[Difference]:
    """The differences that were made or printed since this was asked for the last time."""
    shown = list(dict.fromkeys(_shown))
    _shown.clear()
    return shown
