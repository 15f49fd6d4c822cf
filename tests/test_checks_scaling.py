"""Right formulas pass in any style; others get their name."""

from __future__ import annotations

import math

import pytest
import torch

from bnkit.checks import check_halving_batch, check_matching_lr, check_turn


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
    result = check_turn(answer)
    assert result.passed, repr(result)


def test_a_right_learning_rate_passes():
    powers = {"sgd": 2, "adam": 1}
    assert check_matching_lr(lambda lr, a, optimizer: lr * a ** powers[optimizer]).passed


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
    result = check_halving_batch(answer)
    assert result.passed, repr(result)


def test_an_answer_without_a_branch_for_adam_is_named():
    assert check_matching_lr(lambda lr, a, optimizer: lr * a * a).mistake == "Adam treated like SGD"
