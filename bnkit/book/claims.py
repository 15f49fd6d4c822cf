"""Claims about batch normalization, each with its verdict, its comparisons and its source.

A chapter measures with a few seeds, then calls :func:`claim`. The verdict is the one of the full
run that `make evidence` committed; the call fails where the live numbers contradict it, or where
the protocol of the method page is broken. It shows a callout and leaves the claim's data in the
cell's output, from which the ledger page is made.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from scipy.special import stdtrit

from bnkit.book.evidence import Difference, shown_since_last_claim, verdict_of
from bnkit.book.held_out import reported
from bnkit.book.ledger import difference_of, read_ledger
from bnkit.book.seeds import gathering
from bnkit.book.tuning import Tuning
from bnkit.data import digits_here

__all__ = ["MIME_TYPE", "VERDICTS", "Claim", "claim"]

MIME_TYPE = "application/vnd.bnkit.claim+json"
VERDICTS = {
    "holds": "✓",
    "holds partly": "◐",
    "does not hold here": "✗",
    "practically no difference": "≈",
    "undecided": "?",
}
CHANCE = 1e-4  # of a live mean so far from the full run's, were both draws from one source
_BOX = (
    "border:1px solid rgba(127,127,127,.4);border-left:.3rem solid #0072B2;"
    "border-radius:.3rem;padding:.6rem 1rem;margin:1rem 0"
)
_SOURCE = re.compile(r"^(?P<authors>.+?), \[(?P<year>[^\]]+)\]\((?P<link>https?://\S+)\)$")


@dataclass(frozen=True)
class Claim:
    """One row of the ledger, as :func:`claim` makes it; displays itself as a callout.

    Attributes:
        id: a slug, unique in the book.
        statement: the claim as people make it.
        verdict: a key of ``VERDICTS``.
        measured: one sentence with the live numbers.
        source: ``Authors, [year](link)``, the citation as notebooks write it.
        seeds: the seeds behind the live numbers; empty where nothing is random.
        evidence: the comparisons on which the verdict rests, measured live.
        also: comparisons that were printed and decide nothing.
        tuning: ids of the searches that chose the rates.
        repeats: the id of the claim that this one repeats on other data.
        data: ``"official"`` or ``"bundled"``, the digits at hand.
        full: what the ledger has of the full run; empty before `make evidence` ran.

    Example:
        >>> Claim("trains-deep-sigmoids", "BN trains them.", "holds", "94 against 11 %.", "…").seeds
        []
    """

    id: str
    statement: str
    verdict: str
    measured: str
    source: str
    seeds: list[int] = field(default_factory=list)
    evidence: list[dict] = field(default_factory=list)
    also: list[dict] = field(default_factory=list)
    tuning: list[str] = field(default_factory=list)
    repeats: str = ""
    data: str = "official"
    full: dict = field(default_factory=dict)

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        told = [f"Claim: {self.statement}", f"Verdict: {self.verdict}{_of_seeds(self)}"]
        told += [f"- {line}" for line in _comparisons(self)]
        told += [f"{_here(self)} {self.measured}", f"Claimed in: {self.source}"]
        data = {key: value for key, value in asdict(self).items() if key != "full"}
        return {MIME_TYPE: data, "text/html": _callout(self), "text/plain": "\n".join(told)}


def claim(
    id: str,
    statement: str,
    verdict: str,
    measured: str,
    source: str,
    *,
    seeds: Sequence[int] = (),
    evidence: Sequence[Difference] = (),
    also: Sequence[Difference] = (),
    tuning: Sequence[Tuning] = (),
    repeats: str = "",
    of_machine: bool = False,
) -> Claim:
    """Record a claim with its verdict, after checking it against its evidence and the protocol.

    Args:
        id: a slug such as ``"permits-higher-learning-rates"``, unique in the book.
        statement: the claim as people make it, one sentence.
        verdict: the verdict on which the text builds, a key of ``VERDICTS``.
        measured: one sentence with the numbers, formatted from this run.
        source: the citation, ``"Authors, [year](https://…)"``.
        seeds: the seeds of this run, from :func:`bnkit.book.seeds.seeds`; none where nothing is
            random.
        evidence: comparisons (:func:`~bnkit.book.evidence.paired_difference`), one value a seed,
            signed so that positive speaks for the claim.
        also: comparisons that the page prints and that decide nothing.
        tuning: the searches that chose the rates.
        repeats: id of the claim that this one repeats on other data.
        of_machine: whether the numbers are times, which no other machine has to repeat.

    Returns:
        A :class:`Claim`. As the last line of a cell it shows a callout and leaves its data
        in the output for the ledger.

    Raises:
        ValueError: for malformed words, or where the protocol is broken: fewer than 3 seeds, a
            comparison with another number of values than seeds, two comparisons of one label or
            of the same values, a comparison that was made and left out, a best rate at an edge
            that nobody said, or a tuning seed or a tuning digit that the report uses.
        AssertionError: if the evidence says another verdict or was judged by another margin, or
            if the live numbers contradict those of the full run.

    Example:
        >>> from bnkit.book.evidence import paired_difference
        >>> gap = paired_difference([95, 96, 97], [90, 92, 91], "BN minus plain")
        >>> row = claim("learns-sooner", "BN learns sooner.", "holds", f"{gap:+.0f}.",
        ...             "Ioffe and Szegedy, [2015](https://arxiv.org/abs/1502.03167)",
        ...             seeds=[0, 1, 2], evidence=[gap])
        >>> row.verdict
        'holds'
    """
    _check_words(id, verdict, source)
    _check_protocol(id, seeds, [*evidence, *also], tuning)
    full = {} if gathering() else read_ledger()["claims"].get(id, {})
    data = digits_here()
    if not gathering():
        _check_verdict(id, verdict, evidence, full)
        if full and full["data"] == data and not of_machine:
            _check_agreement(id, evidence, full)
    return Claim(
        id,
        statement,
        verdict,
        measured,
        source,
        list(seeds),
        [_row(d) for d in evidence],
        [_row(d) for d in also],
        [t.id for t in tuning],
        repeats,
        data,
        full,
    )


def _row(d: Difference) -> dict:
    low, high = d.interval()
    values = [float(f"{value:.6g}") for value in d.values]
    return {**asdict(d), "values": values, "mean": d.mean, "low": low, "high": high, "p": d.p}


def _check_words(id: str, verdict: str, source: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id):
        raise ValueError(f"expected an id such as 'learns-sooner', received {id!r}")
    if verdict not in VERDICTS:
        raise ValueError(f"claim {id!r}: expected one of {list(VERDICTS)}, received {verdict!r}")
    if not _SOURCE.match(source):
        raise ValueError(f"claim {id!r}: expected 'Authors, [year](link)', received {source!r}")


def _check_protocol(
    id: str, seeds: Sequence[int], listed: Sequence[Difference], tuning: Sequence[Tuning]
) -> None:
    """One value a seed, each comparison once and none left out, and what tuned does not report."""
    left_out = [d.label for d in shown_since_last_claim() if d not in listed]
    if 0 < len(seeds) < 3 or len(set(seeds)) < len(seeds):
        raise ValueError(f"claim {id!r}: expected none or 3 different seeds, received {seeds}")
    if listed and not seeds:
        raise ValueError(f"claim {id!r}: expected the seeds of its comparisons, received none")
    for d in listed:
        if d.n != len(seeds):
            raise ValueError(
                f"claim {id!r}, {d.label!r}: expected one value for each of {len(seeds)} seeds, "
                f"received {d.n}"
            )
    _check_counted_once(id, listed)
    if left_out:
        raise ValueError(
            f"claim {id!r}: expected every comparison that was made, as evidence or also, "
            f"received none for {left_out}"
        )
    for search in tuning:
        _check_search(id, seeds, search)


def _check_counted_once(id: str, listed: Sequence[Difference]) -> None:
    labels = [d.label for d in listed]
    if len(set(labels)) < len(labels):
        raise ValueError(f"claim {id!r}: expected one comparison a label, received {labels}")
    seen: dict[tuple[float, ...], str] = {}
    for d in listed:
        if d.step:  # on a grid two comparisons may agree
            continue
        for values in {d.values, tuple(-v for v in d.values)}:
            if values in seen:
                raise ValueError(
                    f"claim {id!r}: expected each comparison once, received the same values for "
                    f"{seen[values]!r} and {d.label!r}"
                )
        seen[d.values] = d.label


def _check_search(id: str, seeds: Sequence[int], search: Tuning) -> None:
    """A search has seeds and examples of its own, enough of them, and no unsaid edge."""
    if len(set(search.seeds)) < 3:
        raise ValueError(
            f"claim {id!r}, {search.id!r}: expected 3 tuning seeds, received {search.seeds}"
        )
    if overlap := set(search.seeds) & set(seeds):
        raise ValueError(
            f"claim {id!r}: expected tuning seeds that no report uses, received "
            f"{sorted(overlap)} in both"
        )
    if edges := search.unsaid_edges():
        raise ValueError(
            f"claim {id!r}, {search.id!r}: expected a best rate inside each grid or edge=True, "
            f"received an edge for {edges}"
        )
    both = reported.numbers & set(search.scored)
    if len(both) > 1:  # two digits may share a number by chance, two pairs do not
        raise ValueError(
            f"claim {id!r}, {search.id!r}: expected tuning digits that no report uses, received "
            f"{len(both)} of {len(search.scored)} sampled ones in both"
        )


def _check_verdict(id: str, verdict: str, evidence: Sequence[Difference], full: dict) -> None:
    if full.get("evidence"):
        here, there = [d.label for d in evidence], [row["label"] for row in full["evidence"]]
        if here != there:
            raise AssertionError(
                f"claim {id!r}: comparisons {here}, but the evidence has {there}: "
                "run make evidence for this chapter"
            )
        for d, row in zip(evidence, full["evidence"], strict=True):
            judged_by, asked = (row["margin"], row["equal"]), (d.margin, d.equal)
            if judged_by != asked:
                raise AssertionError(
                    f"claim {id!r}, {d.label!r}: margin and equal are {asked}, but the evidence "
                    f"was judged by {judged_by}: run make evidence for this chapter"
                )
        said, whose = full["verdict"], "the full run's"
    elif evidence:
        said, whose = verdict_of(evidence), "the live"
    else:
        return
    if verdict != said:
        raise AssertionError(
            f"claim {id!r}: verdict {verdict!r} does not fit {whose} evidence, which says {said!r}"
        )


def _check_agreement(id: str, evidence: Sequence[Difference], full: dict) -> None:
    """A live mean lies where the full run's spread lets the mean of so few seeds lie."""
    for live, row in zip(evidence, full["evidence"], strict=True):
        known = difference_of(row)
        widest = float(stdtrit(known.n - 1, 1 - CHANCE / 2)) * known.spread
        allowed = widest * math.sqrt(1 / live.n + 1 / known.n)
        if abs(live.mean - known.mean) > allowed:
            raise AssertionError(
                f"claim {id!r}, {live.label!r}: {live.mean:.3g} {live.unit} with {live.n} seeds "
                f"contradicts {known.mean:.3g} with {known.n} (at most {allowed:.2g} apart)"
            )


def _of_seeds(row: Claim) -> str:
    if not row.full or not row.evidence:
        return f" ({len(row.seeds)} seeds)" if row.seeds else ""
    return f" ({len(row.full['seeds'])} seeds, all comparisons of the book at 5 % together)"


def _here(row: Claim) -> str:
    if not row.seeds:
        return ""
    return f"In this run, with {len(row.seeds)} seeds:"


def _comparisons(row: Claim) -> list[str]:
    """Each comparison of the full run as a line; of this run, where there is no other."""
    beside = [f"beside the verdict: {describe(r)}" for r in row.full.get("also", [])]
    return [describe(r) for r in row.full.get("evidence") or row.evidence] + beside


def describe(row: dict) -> str:
    """One comparison of the ledger as a line of text."""
    d = difference_of(row)
    low, high = d.interval()
    largest = max(abs(low), abs(high), d.margin or 0, 1e-9)
    digits = max(0, 1 - math.floor(math.log10(largest)))
    p = row.get("adjusted", d.p)
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    margin = f", margin {d.margin:g}" if d.margin else ""
    return (
        f"{d.label}: {d.mean:+.{digits}f} {d.unit} [{low:+.{digits}f}, {high:+.{digits}f}], "
        f"{shown}{margin}"
    )


def _unbroken(line: str) -> str:
    """A p value that no line end breaks in two."""
    return re.sub(r"\bp (=|&lt;) ", r"p&nbsp;\1&nbsp;", line)


def _callout(row: Claim) -> str:
    authors, year, link = map(html.escape, _SOURCE.match(row.source).group(1, 2, 3))
    lines = "".join(f"<li>{_unbroken(html.escape(line))}</li>" for line in _comparisons(row))
    listed = f'<ul style="margin:0 0 .3rem;padding-left:1.2rem">{lines}</ul>' if lines else ""
    return (
        f'<div class="bnkit-claim" id="claim-{row.id}" style="{_BOX}">'
        f'<p style="margin:0 0 .3rem"><strong>Claim.</strong> {html.escape(row.statement)}</p>'
        f'<p style="margin:0 0 .3rem"><strong>Verdict: {VERDICTS[row.verdict]} {row.verdict}'
        f"</strong>{html.escape(_of_seeds(row))}</p>{listed}"
        f'<p style="margin:0 0 .3rem">{_here(row)} {html.escape(row.measured)}</p>'
        f'<p style="margin:0;font-size:.9em">Claimed in: {authors}, <a href="{link}">{year}</a>'
        "</p></div>"
    )
