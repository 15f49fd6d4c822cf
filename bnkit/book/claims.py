"""Claims about batch normalization, each with its verdict, its number and its source.

A chapter measures, then calls :func:`claim`. The call checks that the verdict has the
margin it needs, shows a callout and leaves the claim's data in the cell's output, from
which the book's ledger page is made.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

__all__ = [
    "MARGIN",
    "MIME_TYPE",
    "VERDICTS",
    "Claim",
    "Difference",
    "claim",
    "paired_difference",
    "verdict_of",
]

MIME_TYPE = "application/vnd.bnkit.claim+json"
MARGIN = 3.0  # standard errors that "holds" asks for
VERDICTS = {
    "holds": "✓",
    "holds partly": "◐",
    "does not hold here": "✗",
    "undecided": "?",
}
_BOX = (
    "border:1px solid rgba(127,127,127,.4);border-left:.3rem solid #0072B2;"
    "border-radius:.3rem;padding:.6rem 1rem;margin:1rem 0"
)
_SOURCE = re.compile(r"^(?P<authors>.+?), \[(?P<year>[^\]]+)\]\((?P<link>https?://\S+)\)$")


@dataclass(frozen=True)
class Difference:
    """A mean paired difference and its standard error.

    Attributes:
        mean: mean of ``a_i - b_i`` over the pairs, in the unit of the values.
        standard_error: sample standard deviation of the differences over ``sqrt(n)``.
        n: number of pairs, usually seeds.

    Example:
        >>> print(Difference(0.054, 0.0031, 5))
        +0.054 ± 0.0031 (standard error, 5 pairs)
    """

    mean: float
    standard_error: float
    n: int

    @property
    def margin(self) -> float:
        """The mean in standard errors; infinite when every pair differs by the same amount."""
        if self.standard_error == 0:
            return math.copysign(math.inf, self.mean) if self.mean else 0.0
        return self.mean / self.standard_error

    @property
    def verdict(self) -> str:
        """``holds`` from +3 standard errors on, ``does not hold here`` from -3, else undecided."""
        if self.margin >= MARGIN:
            return "holds"
        return "does not hold here" if self.margin <= -MARGIN else "undecided"

    def __str__(self) -> str:
        return f"{self.mean:+.3g} ± {self.standard_error:.2g} (standard error, {self.n} pairs)"

    def __format__(self, spec: str) -> str:
        """Mean and standard error with so many digits: ``f"{gap:+.1f}"`` is ``+0.8 ± 0.2``."""
        if not spec:
            return str(self)
        return f"{self.mean:{spec}} ± {self.standard_error:{spec.lstrip('+')}}"


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    r"""Mean of ``a - b`` over pairs that share a seed, with its standard error.

    .. math:: \bar d = \frac1n \sum_i (a_i - b_i), \qquad
              \mathrm{se} = \sqrt{\frac{\sum_i (d_i - \bar d)^2}{n (n - 1)}}

    Args:
        a: the values on the side that the claim favors, one a seed.
        b: the values on the other side, in the same order of seeds.

    Returns:
        A :class:`Difference`; its ``verdict`` asks for three standard errors.

    Raises:
        ValueError: if the two differ in length or hold fewer than three pairs.

    Example:
        >>> paired_difference([0.95, 0.96, 0.97], [0.90, 0.92, 0.91]).verdict
        'holds'
        >>> paired_difference([0.95, 0.96, 0.97], [0.96, 0.95, 0.97]).verdict
        'undecided'
    """
    d = [float(x) - float(y) for x, y in zip(a, b, strict=False)]
    if len(a) != len(b) or len(d) < 3:
        raise ValueError(f"expected at least 3 pairs, received {len(a)} and {len(b)} values")
    mean = math.fsum(d) / len(d)
    variance = math.fsum((v - mean) ** 2 for v in d) / (len(d) - 1)
    return Difference(mean, math.sqrt(variance / len(d)), len(d))


def verdict_of(evidence: Sequence[Difference]) -> str:
    """The verdict that several differences make together.

    ``holds`` if all of them reach +3 standard errors, ``holds partly`` if some do,
    ``does not hold here`` if none does and at least one reaches -3, else ``undecided``.

    Args:
        evidence: differences signed so that positive speaks for the claim.

    Returns:
        A key of ``VERDICTS``.

    Raises:
        ValueError: if there is no difference to judge by.

    Example:
        >>> verdict_of([Difference(0.5, 0.1, 5), Difference(0.1, 0.1, 5)])
        'holds partly'
        >>> verdict_of([Difference(-0.5, 0.1, 5), Difference(0.1, 0.1, 5)])
        'does not hold here'
    """
    if not evidence:
        raise ValueError("expected at least one difference, received none")
    each = [difference.verdict for difference in evidence]
    if "holds" in each:
        return "holds" if set(each) == {"holds"} else "holds partly"
    return "does not hold here" if "does not hold here" in each else "undecided"


@dataclass(frozen=True)
class Claim:
    """One row of the ledger, as :func:`claim` makes it; displays itself as a callout.

    Attributes:
        id: a slug, unique in the book.
        statement: the claim as people make it.
        verdict: a key of ``VERDICTS``.
        measured: one sentence with the number and its spread, made from the run.
        source: ``Authors, [year](link)``, the citation as notebooks write it.
        seeds: number of seeds behind the number; 0 where nothing is random.
        evidence: the paired differences that the verdict rests on.

    Example:
        >>> Claim("trains-deep-sigmoids", "BN trains them.", "holds", "94 against 11 %.", "…").seeds
        0
    """

    id: str
    statement: str
    verdict: str
    measured: str
    source: str
    seeds: int = 0
    evidence: list[Difference] = field(default_factory=list)

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        plain = f"Claim: {self.statement}\nVerdict: {self.verdict}. {self.measured} ({self.source})"
        return {MIME_TYPE: asdict(self), "text/html": _callout(self), "text/plain": plain}


def claim(
    id: str,
    statement: str,
    verdict: str,
    measured: str,
    source: str,
    *,
    seeds: int = 0,
    evidence: Sequence[Difference] = (),
) -> Claim:
    """Record a claim with its verdict, after checking the verdict against its evidence.

    Args:
        id: a slug such as ``"permits-higher-learning-rates"``, unique in the book.
        statement: the claim as people make it, one sentence.
        verdict: ``"holds"``, ``"holds partly"``, ``"does not hold here"`` or ``"undecided"``. Write
            it out where the text builds on it, so that the chapter fails when it changes; take
            :func:`verdict_of` where margins are near three and the text fits either outcome.
        measured: one sentence with the number and its spread, formatted from the run.
        source: the citation, ``"Authors, [year](https://…)"``.
        seeds: number of seeds behind the number; 0 where nothing is random.
        evidence: paired differences (:func:`paired_difference`), signed so that positive
            speaks for the claim.

    Returns:
        A :class:`Claim`. As the last line of a cell it shows a callout and leaves its data
        in the output for the ledger.

    Raises:
        ValueError: for an unknown verdict, a malformed id or source, or fewer than 3 seeds.
        AssertionError: if there is evidence and the verdict is not what :func:`verdict_of` says.

    Example:
        >>> gap = paired_difference([0.95, 0.96, 0.97], [0.90, 0.92, 0.91])
        >>> row = claim("learns-sooner", "BN learns sooner.", "holds", str(gap),
        ...             "Ioffe and Szegedy, [2015](https://arxiv.org/abs/1502.03167)",
        ...             seeds=3, evidence=[gap])
        >>> row.verdict
        'holds'
    """
    _check_words(id, verdict, source)
    if 0 < seeds < 3:
        raise ValueError(f"claim {id!r}: expected 0 or at least 3 seeds, received {seeds}")
    _check_margin(id, verdict, evidence)
    return Claim(id, statement, verdict, measured, source, seeds, list(evidence))


def _check_words(id: str, verdict: str, source: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id):
        raise ValueError(f"expected an id such as 'learns-sooner', received {id!r}")
    if verdict not in VERDICTS:
        raise ValueError(f"claim {id!r}: expected one of {list(VERDICTS)}, received {verdict!r}")
    if not _SOURCE.match(source):
        raise ValueError(f"claim {id!r}: expected 'Authors, [year](link)', received {source!r}")


def _check_margin(id: str, verdict: str, evidence: Sequence[Difference]) -> None:
    if evidence and verdict != verdict_of(evidence):
        shown = ", ".join(f"{d.margin:.1f}" for d in evidence)
        raise AssertionError(
            f"claim {id!r}: verdict {verdict!r} does not fit its evidence, margins of {shown} "
            f"standard errors (3 speak for the claim), which say {verdict_of(evidence)!r}"
        )


def _callout(row: Claim) -> str:
    authors, year, link = map(html.escape, _SOURCE.match(row.source).group(1, 2, 3))
    cite = f'{authors}, <a href="{link}">{year}</a>'
    seeds = f" {row.seeds} seeds." if row.seeds else ""
    return (
        f'<div class="bnkit-claim" id="claim-{row.id}" style="{_BOX}">'
        f'<p style="margin:0 0 .3rem"><strong>Claim.</strong> {html.escape(row.statement)}</p>'
        f'<p style="margin:0 0 .3rem"><strong>Verdict: {VERDICTS[row.verdict]} {row.verdict}.'
        f"</strong> {html.escape(row.measured)}{seeds}</p>"
        f'<p style="margin:0;font-size:.9em">Claimed in: {cite}</p></div>'
    )
