"""Exercise of the debugging clinic: a check that finds what five others miss."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit import functional as F
from bnkit.checks.exercise import Exercise, Mistake, examine
from bnkit.book.observe import Facets, Probe
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.solutions import practice

__all__ = ["EXERCISES", "check_shift_check"]

SECTION = "02_equations.ipynb#Two formulas for the variance, one of them dangerous"


class _PatientF(nn.Module):
    """Takes the variance as E[x²] − E[x]²."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(0)
        var = (x * x).mean(0) - mean * mean
        return self.weight * (x - mean) / torch.sqrt(var + 1e-5) + self.bias


class _Healthy(_PatientF):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


def _judges(answer: Callable) -> Facets:
    """What the learner's check says of a healthy layer and of Patient F."""
    errors = [float(answer(make)) for make in (_Healthy, _PatientF)]
    healthy, patient = errors
    return {
        "error of a healthy layer": "below 0.01" if healthy < 0.01 else "not below 0.01",
        "error of Patient F": "nan" if math.isnan(patient) else
                              "above 0.1" if patient > 0.1 else "not above 0.1",
    }  # fmt: skip


def _on(batch: Callable, finish: Callable = lambda gap: gap.nan_to_num(torch.inf)) -> Callable:
    """A check on another batch."""

    def shift_check(make):
        torch.manual_seed(0)
        x = batch()
        return finish((make(2)(x) - nn.BatchNorm1d(2).to(x)(x)).abs()).max().item()

    return shift_check


def _narrow() -> Tensor:
    return 1e4 + torch.randn(64, 2)


def _itself(make):
    layer, x = make(2), _narrow()
    return (layer(x) - layer(x)).abs().nan_to_num(0).max().item()


SHIFT_CHECK = [
    Mistake(
        "a batch on which nothing cancels", "shift_check", _on(lambda: torch.randn(64, 2)),
        "On your batch the patient is right. What must be large, against what, so that E[x²] and "
        "E[x]² are almost equal?", SECTION, (_itself,),
    ),
    Mistake(
        "nan not caught", "shift_check", _on(_narrow, lambda gap: gap),
        "The patient's variance is negative. Is nan > 0.1 true?", SECTION,
    ),
]  # fmt: skip

_SHIFT_CHECK = Exercise(
    "shift_check",
    practice.shift_check,
    [Probe({"make": "a healthy layer, then Patient F"}, _judges)],
    SHIFT_CHECK,
    SECTION,
)


def check_shift_check(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a check: it must tell a healthy layer from one that cancels.

    Args:
        fn: ``fn(make) -> error`` where ``make(num_features)`` makes a layer in training mode: the
            largest difference from PyTorch's on a batch of its choice. Below 0.01 for a healthy
            layer, above 0.1 or infinite for Patient F.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def easy(make):
        ...     x = torch.randn(64, 2)
        ...     return (make(2)(x) - nn.BatchNorm1d(2)(x)).abs().max()
        >>> check_shift_check(easy).mistake
        'a batch on which nothing cancels'

    Source: chapter 16, exercise 1.
    """
    return examine(_SHIFT_CHECK, fn, limit)


EXERCISES = [_SHIFT_CHECK]
