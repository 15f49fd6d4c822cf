"""A verdict needs a margin, and the claim's data stays in the output."""

import json

import pytest

from bnkit.book.claims import MIME_TYPE, VERDICTS, Difference, claim, paired_difference, verdict_of

SOURCE = "Ioffe and Szegedy, [2015](https://arxiv.org/abs/1502.03167)"
STRONG = Difference(0.05, 0.01, 3)
WEAK = Difference(0.02, 0.01, 3)
AGAINST = Difference(-0.05, 0.01, 3)


def make(verdict, evidence=(), **changes):
    words = dict(id="learns-sooner", statement="BN <b>learns</b> sooner.", measured="5 ± 1")
    words |= dict(source=SOURCE, seeds=3) | changes
    return claim(verdict=verdict, evidence=evidence, **words)


def test_paired_difference_is_the_mean_and_standard_error_of_the_differences():
    d = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert d.mean == pytest.approx(2.0)
    assert d.standard_error == pytest.approx(1 / 3**0.5)
    assert d.margin == pytest.approx(2 * 3**0.5)


def test_a_difference_is_written_with_as_many_digits_as_are_asked_for():
    gap = Difference(0.8123, 0.2345, 4)
    assert f"{gap:+.1f}" == "+0.8 ± 0.2"
    assert f"{gap:.2f}" == "0.81 ± 0.23"
    assert f"{gap}" == str(gap) == "+0.812 ± 0.23 (standard error, 4 pairs)"


def test_fewer_than_three_pairs_or_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="at least 3 pairs, received 2 and 2"):
        paired_difference([1, 2], [1, 2])
    with pytest.raises(ValueError, match="received 4 and 3"):
        paired_difference([1, 2, 3, 4], [1, 2, 3])


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (STRONG, "holds"),
        (WEAK, "undecided"),
        (Difference(-0.05, 0.01, 3), "does not hold here"),
        (Difference(0.0, 0.0, 3), "undecided"),
        (Difference(1.0, 0.0, 3), "holds"),
    ],
)
def test_the_verdict_of_a_difference_asks_for_three_standard_errors(difference, verdict):
    assert difference.verdict == verdict


RULE = [
    ([STRONG], "holds"),
    ([STRONG, STRONG], "holds"),
    ([STRONG, WEAK], "holds partly"),
    ([STRONG, AGAINST], "holds partly"),
    ([AGAINST, WEAK], "does not hold here"),
    ([WEAK], "undecided"),
]


@pytest.mark.parametrize(("evidence", "verdict"), RULE)
def test_a_verdict_is_accepted_where_its_evidence_says_it_and_nowhere_else(evidence, verdict):
    assert verdict_of(evidence) == verdict
    assert make(verdict, evidence).verdict == verdict
    for other in set(VERDICTS) - {verdict}:
        with pytest.raises(AssertionError, match=f"does not fit its evidence.*say '{verdict}'"):
            make(other, evidence)


def test_without_evidence_a_claim_takes_any_verdict_but_none_is_made_for_it():
    assert make("holds partly").verdict == "holds partly"
    with pytest.raises(ValueError, match="at least one difference"):
        verdict_of([])


@pytest.mark.parametrize(
    "changes",
    [{"verdict": "proved"}, {"id": "Learns Sooner"}, {"source": "somebody"}, {"seeds": 2}],
)
def test_malformed_words_are_refused_with_what_was_received(changes):
    received = str(next(iter(changes.values())))
    with pytest.raises(ValueError, match=f"received '?{received}"):
        make(**({"verdict": "holds"} | changes))


def test_the_output_holds_the_data_and_escapes_the_statement():
    bundle = make("holds", [STRONG])._repr_mimebundle_()
    data = json.loads(json.dumps(bundle[MIME_TYPE]))
    assert data["id"] == "learns-sooner" and data["evidence"][0]["n"] == 3
    assert "&lt;b&gt;" in bundle["text/html"] and "Verdict: ✓ holds" in bundle["text/html"]
    assert "Verdict: holds" in bundle["text/plain"]
