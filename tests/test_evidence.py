"""Comparisons over seeds say what Student, Holm and two one-sided tests say."""

import math
import random

import pytest
from scipy import stats

from bnkit.book.evidence import (
    LEVEL,
    Difference,
    against_theory,
    holm,
    paired_difference,
    shown_since_last_claim,
    verdict_of,
)


def drawn(n, mean=0.3, seed=0):
    rng = random.Random(seed)
    return [rng.gauss(mean, 1) for _ in range(n)], [rng.gauss(0, 1) for _ in range(n)]


@pytest.mark.parametrize("n", [3, 4, 5, 20])
def test_interval_and_p_are_those_of_the_paired_t_test(n):
    a, b = drawn(n)
    ours, theirs = paired_difference(a, b, "a minus b"), stats.ttest_rel(a, b)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert ours.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.interval(0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)))


@pytest.mark.parametrize("n", [3, 8, 20])
def test_equivalence_is_the_larger_of_two_one_sided_tests(n):
    a, b = drawn(n, mean=0.1, seed=n)
    ours = paired_difference(a, b, "a minus b", margin=1.5, equal=True)
    d = ours.values
    lower = stats.ttest_1samp(d, -1.5, alternative="greater").pvalue
    upper = stats.ttest_1samp(d, 1.5, alternative="less").pvalue
    assert ours.p == pytest.approx(max(lower, upper))


def test_p_of_equivalence_is_below_five_percent_exactly_where_the_90_percent_interval_fits():
    rng = random.Random(1)
    for _ in range(200):
        margin = rng.uniform(0.2, 2)
        d = Difference(tuple(rng.gauss(0.2, 0.8) for _ in range(6)), "d", "", margin, True)
        assert (d.p < LEVEL) == d.within_margin()


def test_three_standard_errors_are_not_enough_with_three_seeds():
    half = math.sqrt(3) / 3  # the mean is then three standard errors
    d = Difference((1 - half, 1, 1 + half), "d")
    assert d.mean / d.standard_error == pytest.approx(3)
    assert d.outcome() == "open" and d.p == pytest.approx(0.0955, abs=1e-3)


OUTCOMES = [
    (Difference((0.9, 1.1, 1.0, 1.2), "d"), "for"),
    (Difference((-0.9, -1.1, -1.0, -1.2), "d"), "against"),
    (Difference((-1, 1, 0.5, -0.4), "d"), "open"),
    (Difference((-0.1, 0.1, 0.05, -0.04), "d", margin=0.5), "no difference"),
    (Difference((0.1, 0.11, 0.12, 0.1), "d", margin=0.5), "no difference"),  # clear, and too small
    (Difference((-0.1, 0.1, 0.05, -0.04), "d", margin=0.5, equal=True), "for"),
    (Difference((1.9, 2.1, 2.0, 2.2), "d", margin=0.5, equal=True), "against"),
    (Difference((-1, 1, 0.5, -0.4), "d", margin=0.5, equal=True), "open"),
    (Difference((0.1, 0.11, 0.12, 0.1), "d", margin=0.5, equal=True), "for"),
]


@pytest.mark.parametrize(("difference", "outcome"), OUTCOMES)
def test_a_comparison_speaks_for_or_against_its_claim_or_leaves_it_open(difference, outcome):
    assert difference.outcome() == outcome


FOR, AGAINST, OPEN, NONE = (OUTCOMES[i][0] for i in range(4))
RULE = [
    ([FOR], "holds"),
    ([FOR, FOR], "holds"),
    ([FOR, OPEN], "holds partly"),
    ([FOR, AGAINST], "holds partly"),
    ([FOR, NONE], "holds partly"),
    ([AGAINST, OPEN], "does not hold here"),
    ([AGAINST, NONE], "does not hold here"),
    ([NONE, NONE], "practically no difference"),
    ([NONE, OPEN], "undecided"),
    ([OPEN], "undecided"),
]


@pytest.mark.parametrize(("evidence", "verdict"), RULE)
def test_one_rule_turns_comparisons_into_a_verdict(evidence, verdict):
    assert verdict_of(evidence) == verdict


def test_an_adjusted_p_takes_the_verdict_back():
    assert verdict_of([FOR], [0.2]) == "undecided"
    with pytest.raises(ValueError, match="at least one difference"):
        verdict_of([])


def test_holm_is_as_strict_as_bonferroni_for_the_smallest_and_keeps_the_order():
    ps = [0.04, 0.001, 0.03, 0.2]
    assert holm(ps) == pytest.approx([0.09, 0.004, 0.09, 0.2])
    assert holm([]) == []


def test_holm_keeps_the_family_wise_error():
    """Of 500 families of 30 true nulls, no more than about five in a hundred reject any."""
    rng = random.Random(0)
    wrong = sum(min(holm([rng.random() for _ in range(30)])) < LEVEL for _ in range(500))
    assert wrong / 500 < 0.08


def test_values_on_a_grid_are_no_certainty():
    with pytest.raises(ValueError, match=r"expected differences that vary, or step=.*3 times 1"):
        paired_difference([2, 3, 4], [1, 2, 3], "rates")
    coarse = paired_difference([2, 3, 4], [1, 2, 3], "rates", step=1.0)
    assert coarse.spread == pytest.approx(math.sqrt(1 / 6))
    assert 0 < coarse.p < 1


def test_pairs_that_cannot_be_formed_are_refused():
    with pytest.raises(ValueError, match="at least 3 pairs, received 2 and 2"):
        paired_difference([1, 2], [1, 2], "d")
    with pytest.raises(ValueError, match="received 4 and 3"):
        paired_difference([1, 2, 3, 4], [1, 2, 3], "d")
    with pytest.raises(ValueError, match="predicts no difference: expected a margin"):
        paired_difference([1, 2, 3], [1, 2, 4], "d", equal=True)


def test_a_theory_is_confirmed_within_its_margin_and_refuted_outside():
    near, far = [1.45, 1.46, 1.48, 1.47], [1.30, 1.31, 1.29, 1.30]
    assert against_theory(near, 1.467, "growth", "", margin=0.05).outcome() == "for"
    assert against_theory(far, 1.467, "growth", "", margin=0.05).outcome() == "against"


def test_a_difference_is_written_with_its_interval_and_remembered_until_the_claim():
    shown_since_last_claim()
    gap = Difference((0.9, 1.1, 1.2, 0.8), "BN minus plain")
    assert f"{gap:+.1f}" == "+1.0 points [+0.7, +1.3]"
    assert str(gap) == "BN minus plain: +1.00 points [+0.71, +1.29], 4 seeds"
    assert shown_since_last_claim() == [gap]
    assert shown_since_last_claim() == []


def test_the_number_of_seeds_that_would_decide_does_decide_four_times_in_five():
    d = Difference((0.9, -1.1, 1.2, -0.3, 0.6), "d")
    n, rng = d.seeds_to_decide(), random.Random(0)
    decided = 0
    for _ in range(300):
        again = Difference(tuple(rng.gauss(d.mean, d.spread) for _ in range(n)), "d")
        decided += again.p < LEVEL
    assert 0.7 < decided / 300 < 0.9
