"""What wrong results are in terms of the right ones, and when nothing is said."""

from __future__ import annotations

import pytest
import torch

from bnkit.book.observe import Observation
from bnkit.book.relations import relation

INPUTS = [
    {"x": torch.tensor([[1.0, 5.0], [3.0, 0.5]])},
    {"x": torch.tensor([[2.0, 7.0], [4.0, 1.5], [9.0, 2.5]])},
]
MEANS = [i["x"].mean(0).double() for i in INPUTS]
VARIANCES = [i["x"].var(0, unbiased=False).double() for i in INPUTS]


def told(means, variances=VARIANCES):
    expected = [
        Observation({"mean": m, "variance": v}) for m, v in zip(MEANS, VARIANCES, strict=True)
    ]
    seen = [Observation({"mean": m, "variance": v}) for m, v in zip(means, variances, strict=True)]
    found = relation(INPUTS, expected, seen)
    return found and found.name


WRONG = {
    "mean: a wrong sign": [-m for m in MEANS],
    "mean: the square root is not taken": [m**2 for m in MEANS],
    "mean: a root too many": [m.sqrt() for m in MEANS],
    "mean: in percent": [100 * m for m in MEANS],
    "mean: upside down": [1 / m for m in MEANS],
    "mean: the size of axis 0 of x times the right one": [
        m * len(i["x"]) for m, i in zip(MEANS, INPUTS, strict=True)
    ],
    "mean: 0.7 times the right one": [0.7 * m for m in MEANS],
    "mean: too large by 0.25 everywhere": [m + 0.25 for m in MEANS],
    "mean: that is variance": VARIANCES,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_relation_that_holds_in_all_probes_is_named(name):
    assert told(WRONG[name]) == name


def test_two_results_in_the_wrong_order_are_exchanged():
    assert told(VARIANCES, MEANS) == "mean and variance are exchanged"


def test_the_unbiased_variance_is_a_relation_to_the_count():
    unbiased = [i["x"].var(0).double() for i in INPUTS]
    assert told(MEANS, unbiased) == "variance: divided by the size of axis 0 of x minus 1"


def test_a_relation_that_holds_in_one_probe_alone_says_nothing():
    assert told([-MEANS[0], MEANS[1] + 1]) is None


def test_what_no_relation_explains_is_said_beside_what_one_does():
    odd = [v + torch.tensor([0.5, -0.25]) * v**2 for v in VARIANCES]
    assert told([-m for m in MEANS], odd) == "mean: a wrong sign and variance differs"


def test_right_results_have_no_relation():
    assert told(MEANS) is None
