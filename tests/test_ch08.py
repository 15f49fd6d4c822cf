"""Chapter 8: the rate that undoes a scale, and what its figures show."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from mutants import share_named

from bnkit.book import ch08
from bnkit.book.exercise import first_difference, pairs
from bnkit.book.registry import EXERCISES, check


def test_a_right_learning_rate_passes():
    powers = {"sgd": 2, "adam": 1}
    assert check("matching_lr", lambda lr, a, optimizer: lr * a ** powers[optimizer]).passed


def test_an_answer_without_a_branch_for_adam_is_named():
    result = check("matching_lr", lambda lr, a, optimizer: lr * a * a)
    assert result.mistake == "Adam treated like SGD"


def only_the_gradient(lr, a, optimizer):
    return lr * a if optimizer == "sgd" else lr


WRONG = {
    "longer weights forgotten": only_the_gradient,
    "scale ignored": lambda lr, a, optimizer: lr,
    "optimizers swapped": lambda lr, a, optimizer: lr * a ** (1 if optimizer == "sgd" else 2),
    "doubled in place of squared": lambda lr, a, opt: lr * (2 * a if opt == "sgd" else a),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_learning_rate_is_named(mistake):
    assert check("matching_lr", WRONG[mistake]).mistake == mistake


def test_an_unknown_learning_rate_is_shown_beside_the_right_one():
    result = check("matching_lr", lambda lr, a, optimizer: lr + a)
    assert (result.status, result.stage) == ("unknown", "learning rate")
    assert ["received learning rate", "10.5"] in [list(row) for row in result.sample.rows()]


@pytest.mark.parametrize("name", [e.name for e in ch08.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_no_two_mistakes_together_are_right():
    exercise = EXERCISES["matching_lr"]
    for first, second, answer in pairs(exercise):
        seen = zip(exercise.expected, exercise.observe(answer), strict=True)
        assert any(first_difference(*both) for both in seen), (first.name, second.name)


@pytest.fixture
def close_figures():
    yield
    plt.close("all")


def test_squared_lengths_grow_by_the_squared_steps(close_figures):
    _, right = ch08.rescaled_paths({"W": [2, 1], "2 W": [2, 1]}, [3.0, 5.0], [4.0, 1.0])
    measured, pythagoras = right.lines
    assert measured.get_ydata().tolist() == pythagoras.get_ydata().tolist() == [0, 16]


def test_a_run_that_broke_off_is_drawn_beside_a_longer_one(close_figures):
    losses = {"BN": [[2.3] * 10 + [1.0] * 10], "plain": [[2.3, 9.0]]}
    left, right = ch08.start_and_losses({"BN": [0.6, 0.6], "plain": [1.0, 9.0]}, losses)
    assert left.get_yscale() == "log"
    assert left.get_xticks().tolist() == [1, 2]
    assert right.has_data()


def test_accuracies_have_a_panel_for_each_choice_of_rates(close_figures):
    scales, table = [0.1, 1, 10], [[90, 92], [94, 94], [85, 87]]
    plain = [[10, 11], [91, 92], [10, 9]]
    panels = {"one rate": {"BN": table, "plain": plain}, "best": {"BN": table, "plain": table}}
    left, right = ch08.accuracies_by_start(panels, scales)
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["one rate", "best"]
    means = {line.get_label(): line.get_ydata().tolist() for line in left.lines}
    assert means["BN"] == [91, 94, 86]
    assert (left.get_ylabel(), right.get_ylabel()) == ("accuracy (%)", "")


def test_lengths_are_told_by_the_scale_that_they_started_at(close_figures):
    ax = ch08.lengths_by_start({0.1: [0.1, 0.9], 1: [2.0, 2.2]}, unit=2.0)
    assert [text.get_text() for text in ax.texts] == ["0.1", "1"]
    assert ax.lines[1].get_ydata().tolist() == [1.0, 1.1]
