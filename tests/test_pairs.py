"""Two mistakes at once are named, and a mistake that fits one small input alone is not."""

from __future__ import annotations

import pytest
import torch
from mutants import names_one, told_of_pairs

from bnkit.book.exercise import Mistake
from bnkit.book.naming import alike, likely_pairs, partly
from bnkit.book.observe import Observation
from bnkit.book.registry import EXERCISES, check

SOME = ["forward", "running_statistics", "backward", "layer", "evaluate", "merge", "sync"]


@pytest.mark.parametrize("name", SOME)
def test_two_mistakes_at_once_are_named_and_never_right(name):
    told = list(told_of_pairs(EXERCISES[name], 4))
    assert not any(result.passed for _, result in told)
    assert sum(names_one(*each) for each in told) >= 3


def both_biased_and_on_the_wrong_side(running_mean, running_var, x, momentum):
    running_mean = momentum * running_mean + (1 - momentum) * x.mean(0)
    return running_mean, momentum * running_var + (1 - momentum) * x.var(0, unbiased=False)


def test_the_update_of_another_book_reads_both_of_its_mistakes():
    said = check("running_statistics", both_biased_and_on_the_wrong_side).mistake
    assert "momentum" in said and "biased" in said


def test_a_verdict_on_two_mistakes_begins_with_the_louder():
    answer = EXERCISES["forward"].build(" + eps -> ", "x_hat = (x - mean) -> x_hat = x")
    assert check("forward", answer).mistake == "mean not subtracted and epsilon missing"


def seen(*values: dict) -> list[Observation]:
    return [Observation({name: torch.tensor([v]) for name, v in each.items()}) for each in values]


ONE = Mistake("one", "02#A", "a -> b", "?")
TWO = Mistake("two", "02#A", "a -> b", "?")
RIGHT = seen({"mean": 1.0, "var": 2.0}, {"mean": 3.0, "var": 4.0})


def test_where_two_mistakes_fit_both_are_named():
    runs = [(ONE, seen({"mean": 0.0}, {"mean": 3.0})), (TWO, seen({"mean": 0.0}, {"mean": 5.0}))]
    assert alike(runs, seen({"mean": 0.0}, {"mean": 7.0}), [0]) == [ONE, TWO]
    assert alike(runs, seen({"mean": 0.0}, {"mean": 5.0}), [0]) == [TWO]  # the other probe decides


def test_a_mistake_among_more_explains_a_quantity_in_every_probe():
    runs = [(ONE, seen({"mean": 0.0, "var": 2.0}, {"mean": 0.5, "var": 4.0}))]
    whole = seen({"mean": 0.0, "var": 9.0}, {"mean": 0.5, "var": 8.0})
    assert partly(RIGHT, whole, runs) is ONE
    once = seen({"mean": 0.0, "var": 9.0}, {"mean": 0.7, "var": 8.0})
    assert partly(RIGHT, once, runs) is None
    contradicted = [(ONE, seen({"mean": 0.0, "var": 7.0}, {"mean": 0.5, "var": 4.0}))]
    assert (
        partly(RIGHT, seen({"mean": 0.0, "var": 2.0}, {"mean": 0.5, "var": 9.0}), contradicted)
        is None
    )


def test_the_pair_that_explains_both_quantities_is_tried_first():
    runs = [
        (ONE, seen({"mean": 0.0, "var": 2.0}, {"mean": 0.5, "var": 4.0})),
        (TWO, seen({"mean": 1.0, "var": 9.0}, {"mean": 3.0, "var": 8.0})),
        (
            Mistake("three", "02#A", "a -> b", "?"),
            seen({"mean": 6.0, "var": 6.0}, {"mean": 6.0, "var": 6.0}),
        ),
    ]
    both = seen({"mean": 0.0, "var": 9.0}, {"mean": 0.5, "var": 8.0})
    assert likely_pairs(RIGHT, both, runs)[0] == (0, 1)


def test_a_result_without_a_graph_is_told_that_no_gradient_flows():
    def detached(x, weight, bias, eps):
        return EXERCISES["forward"].build()(x, weight, bias, eps).detach()

    result = check("forward", detached)
    assert result.status == "mistake" and "gradient" in result.mistake


def test_python_numbers_may_be_used_and_then_no_gradient_is_looked_at():
    def plain(x, weight, bias, eps):
        columns = []
        for c in range(x.shape[1]):
            values = x[:, c].tolist()
            mean = sum(values) / len(values)
            var = sum((v - mean) ** 2 for v in values) / len(values)
            root = (var + eps) ** 0.5
            columns.append([weight[c].item() * (v - mean) / root + bias[c].item() for v in values])
        return torch.tensor(columns).T

    assert check("forward", plain).passed
