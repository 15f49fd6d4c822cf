"""Chapter 7's exercises: the turn of a weight vector."""

from __future__ import annotations

import math

import pytest
import torch
from mutants import share_named

from bnkit.book import ch07
from bnkit.book.registry import EXERCISES, check


def in_a_plane(w, grad, lr):
    new = w - lr * grad
    angle = torch.atan2(new[1], new[0]) - torch.atan2(w[1], w[0])
    return new.norm(), torch.rad2deg((angle + math.pi) % (2 * math.pi) - math.pi).abs()


def by_loops(w, grad, lr):
    new = [a - lr * b for a, b in zip(w.tolist(), grad.tolist(), strict=True)]
    size = math.hypot(*new)
    dot = sum(a * b for a, b in zip(w.tolist(), new, strict=True))
    return size, math.degrees(math.acos(dot / size / math.hypot(*w.tolist())))


def test_a_right_turn_passes():
    result = check("turn", by_loops)
    assert result.passed, repr(result)


def test_a_turn_that_is_right_in_a_plane_alone_does_not_pass():
    assert not check("turn", in_a_plane).passed


WRONG = {
    "length of the step": lambda w, grad, lr: ((lr * grad).norm(), ch07.turn(w, grad, lr)[1]),
    "cosine without the lengths": lambda w, grad, lr: (
        (w - lr * grad).norm(),
        math.degrees(math.acos(w @ (w - lr * grad))),
    ),
    "uphill": lambda w, grad, lr: ch07.turn(w, -grad, lr),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_turn_is_named(name):
    assert check("turn", WRONG[name]).mistake == name


@pytest.mark.parametrize("name", [e.name for e in ch07.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def test_learning_panels_share_one_scale_and_name_their_setting():
    panels = {"lr 0.1": {"BN": [[50, 90]]}, "lr 1": {"BN": [[60, 95]]}}
    axes = ch07.learning_panels(panels, x=[10, 20])
    assert [ax.get_title() or ax.get_title(loc="left") for ax in axes] == ["lr 0.1", "lr 1"]
    assert {ax.get_ylim() for ax in axes} == {(0, 100)}


def test_the_drift_of_quantiles_names_each_line():
    axes = ch07.quantile_drift({"BN": [[-1.0, 0.0, 1.0], [-0.5, 0.2, 1.1]]}, x=[10, 20])
    assert [text.get_text() for text in axes[0].texts] == ["15 %", "50 %", "85 %"]
