"""Chapter 9's exercise and figure: right formulas in any style pass, wrong ones get their name."""

import math

import pytest
from mutants import share_named

from bnkit.book.ch09 import best_runs, effect, gain, mean_of, noise_by_size
from bnkit.book.exercise import first_difference, pairs
from bnkit.book.registry import EXERCISES, check


def by_search(batch_size, total):
    if total == math.inf:
        return batch_size * 4
    low, high = batch_size, total
    for _ in range(60):
        middle = (low + high) / 2
        if (total - middle) / middle > (total - batch_size) / batch_size / 4:
            low = middle
        else:
            high = middle
    return low


def by_formula(batch_size, total):
    return 4 * batch_size / (1 + 3 * batch_size / total)


@pytest.mark.parametrize("answer", [by_search, by_formula])
def test_a_right_batch_size_passes(answer):
    result = check("halving_batch", answer)
    assert result.passed, repr(result)


def quarter_of_nothing(batch_size, total):
    return 4 * batch_size if math.isinf(total) else total / (1 + total / batch_size / 4)


WRONG = {
    "finite data forgotten": lambda batch_size, total: 4 * batch_size,
    "batch doubled": lambda batch_size, total: 2 * batch_size,
    "capped at the total": lambda batch_size, total: min(total, batch_size * 4),
    "variance halved": lambda batch_size, total: 2 * batch_size / (1 + batch_size / total),
    "all examples do not stay all examples": quarter_of_nothing,
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_batch_size_is_named(mistake):
    assert check("halving_batch", WRONG[mistake]).mistake == mistake


def test_an_unknown_batch_size_is_shown_beside_the_right_one():
    result = check("halving_batch", lambda batch_size, total: 3 * batch_size)
    assert (result.status, result.stage) == ("unknown", "batch size")
    assert ["received batch size", "96"] in [list(row) for row in result.sample.rows()]


def test_small_changes_of_the_solution_are_named():
    assert share_named(EXERCISES["halving_batch"]) >= 0.85


def test_no_two_mistakes_together_are_right():
    exercise = EXERCISES["halving_batch"]
    for first, second, answer in pairs(exercise):
        seen = zip(exercise.expected, exercise.observe(answer), strict=True)
        assert any(first_difference(*both) for both in seen), (first.name, second.name)


def test_noise_by_size_leaves_out_a_noise_of_zero():
    measured, formula = [[0.7, 0.9], [0.51, 0.6], [0.0, 0.0]], [[0.71, 1.0], [0.5, 0.7], [0.0, 0.0]]
    ax = noise_by_size(measured, formula, [2, 4, 8])
    assert ax.get_yscale() == "log"
    assert [len(line.get_xdata()) for line in ax.lines] == [2] * 4


def test_the_rate_with_the_best_mean_is_kept_and_every_seed_has_a_run():
    def run(seed, lr):
        return {"test": seed + (10 if lr == 0.01 else 0), "lr": lr}

    runs = best_runs(run, [0.003, 0.01], range(3))
    assert [r["lr"] for r in runs] == [0.01] * 3
    assert mean_of(runs, "test") == 11


def test_a_lower_loss_and_a_higher_accuracy_are_gains():
    before = [{"test": 90.0 + i, "loss": 0.5} for i in range(3)]
    after = [{"test": 91.0 + i, "loss": 0.4} for i in range(3)]
    assert gain(after, before).mean == pytest.approx(1.0)
    assert gain(after, before, "loss").mean == pytest.approx(0.1)
    words = "+1.0 ± 0.0 points of accuracy and -0.10 ± 0.00 in the loss"
    assert effect(after, before) == words
