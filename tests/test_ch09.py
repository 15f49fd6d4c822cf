"""Chapter 9's exercise and figure: right formulas in any style pass, wrong ones get their name."""

import math

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book.ch09 import (
    best_temperature,
    gain,
    mean_of,
    noise_by_size,
    outputs_on,
    percent,
    run_at_best_rate,
    search_rates,
    strongest,
)
from bnkit.book.exercise import first_difference, pairs
from bnkit.book.registry import EXERCISES, check
from bnkit.book.tuning import Tuning


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


SIDES = {"plain": {"width": 1}, "BN": {"width": 3}}


def test_a_search_scores_every_side_at_every_rate_with_its_options():
    search = search_rates(lambda seed, lr, width: seed + lr + width, SIDES, [0.5, 1.5])
    assert search(100) == {"plain": {0.5: 101.5, 1.5: 102.5}, "BN": {0.5: 103.5, 1.5: 104.5}}


TUNING = Tuning(
    "t",
    {"plain": {1.0: [1.0], 2.0: [5.0], 3.0: [2.0]}, "BN": {1.0: [6.0], 2.0: [4.0], 3.0: [0.0]}},
    [100],
)


def test_every_seed_runs_at_the_best_rate_of_its_side():
    sides = {"plain": {"width": 7}}
    runs = run_at_best_rate(lambda seed, lr, width: (seed, lr, width), sides, TUNING, [0, 1])
    assert runs == {"plain": [(0, 2.0, 7), (1, 2.0, 7)]}


def test_a_best_rate_at_the_edge_of_the_grid_is_refused():
    with pytest.raises(ValueError, match="edge"):
        run_at_best_rate(lambda seed, lr: 0, {"BN": {}}, TUNING, [0])


def test_the_strongest_side_has_the_best_score_at_its_own_best_rate():
    assert strongest(TUNING, ["plain", "BN"]) == "BN"


def test_outputs_too_large_by_a_factor_are_divided_by_about_that_factor():
    torch.manual_seed(0)
    outputs = torch.randn(4000, 10)
    labels = torch.distributions.Categorical(logits=outputs).sample()
    assert best_temperature(outputs, labels) == pytest.approx(1, rel=0.15)
    assert best_temperature(5 * outputs, labels) == pytest.approx(5, rel=0.15)


def test_a_loss_is_shown_as_the_probability_of_the_right_digit():
    assert percent(math.log(4)) == pytest.approx(25)


def test_outputs_are_those_of_evaluation_mode_in_the_loader_s_order():
    x, y = torch.randn(5, 3), torch.arange(5)
    outputs, labels = outputs_on(nn.Dropout(0.5), [(x[:2], y[:2]), (x[2:], y[2:])])
    assert torch.equal(outputs, x)
    assert torch.equal(labels, y)


def test_a_lower_loss_and_a_higher_accuracy_are_gains_of_the_named_side():
    runs = {
        "plain": [{"test": 90.0 + i, "loss": 0.5 + i} for i in range(3)],
        "BN": [{"test": 91.0 + 2 * i, "loss": 0.4} for i in range(3)],
    }
    accuracy, loss = gain(runs, "BN", "plain"), gain(runs, "BN", "plain", "loss", equal=True)
    assert (accuracy.label, accuracy.unit, accuracy.margin) == ("BN minus plain", "points", 0.3)
    assert accuracy.mean == pytest.approx(2.0)
    assert loss.label == "calibrated loss, plain minus BN"
    assert loss.mean == pytest.approx(1.1)
    assert loss.equal
    assert mean_of(runs["plain"], "test") == 91
