"""Chapter 7's exercises: the turn of a weight vector."""

from __future__ import annotations

import math

import pytest
import torch
from mutants import share_named

from bnkit.book import ch07
from bnkit.book.registry import EXERCISES, check


def by_plane(w, grad, lr):
    new = w - lr * grad
    angle = torch.atan2(new[1], new[0]) - torch.atan2(w[1], w[0])
    return new.norm(), torch.rad2deg((angle + math.pi) % (2 * math.pi) - math.pi).abs()


def by_loops(w, grad, lr):
    new = [a - lr * b for a, b in zip(w.tolist(), grad.tolist(), strict=True)]
    size = math.hypot(*new)
    dot = sum(a * b for a, b in zip(w.tolist(), new, strict=True))
    return size, math.degrees(math.acos(dot / size / math.hypot(*w.tolist())))


@pytest.mark.parametrize("answer", [by_plane, by_loops])
def test_a_right_turn_passes(answer):
    result = check("turn", answer)
    assert result.passed, repr(result)


@pytest.mark.parametrize("name", [e.name for e in ch07.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85
