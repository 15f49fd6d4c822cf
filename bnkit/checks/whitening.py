"""Exercise on whitening, which removes correlations too, and its known mistakes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnkit.checks.exercise import Exercise, Mistake, examine
from bnkit.checks.forward_mistakes import EQUATIONS, WHICH_VARIANCE, normalized
from bnkit.book.observe import calls
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT

__all__ = ["EXERCISES", "check_whiten"]

FOLKLORE = (
    '02_equations.ipynb#Folklore: "the output is Gaussian" and "the features become independent"'
)


def _right(x: Tensor) -> Tensor:
    """The centered batch times the inverse square root of its covariance matrix."""
    return _whiten()(x)


def _whiten(
    power: float = -0.5, back: bool = True, minus: int = 0, centre: bool = True
) -> Callable:
    def whitened(x):
        centred = x - x.mean(0) if centre else x
        cov = (x - x.mean(0)).T @ (x - x.mean(0)) / (len(x) - minus)  # (C, C)
        values, vectors = torch.linalg.eigh(cov + 1e-5 * torch.eye(x.shape[1]))
        y = centred @ vectors @ torch.diag(values**power)
        return y @ vectors.T if back else y

    return whitened


def _cholesky(x):
    centred = x - x.mean(0)
    factor = torch.linalg.cholesky(centred.T @ centred / len(x))
    return torch.linalg.solve_triangular(factor, centred.T, upper=False).T


WHITEN = [
    Mistake(
        "correlations left alone", "whiten", lambda x: normalized(x, 1e-5),
        "Print the correlation of your two outputs. Which matrix do you divide by?", FOLKLORE,
    ),
    Mistake(
        "not rotated back", "whiten", _whiten(back=False),
        "Your outputs are white, and turned. If x was white from the start, should it change?",
        FOLKLORE, (_cholesky,),
    ),
    Mistake(
        "inverse without the root", "whiten", _whiten(power=-1.0),
        "Compute the covariance of your output. Which power of the matrix makes it the identity?",
        FOLKLORE,
    ),
    Mistake(
        "root without the inverse", "whiten", _whiten(power=0.5),
        "Does your function shrink a feature with a large spread, or stretch it?", FOLKLORE,
    ),
    Mistake(
        "unbiased covariance", "whiten", _whiten(minus=1),
        "By which number do you divide the products: N or N − 1?", WHICH_VARIANCE,
    ),
    Mistake(
        "mean not subtracted", "whiten", _whiten(centre=False),
        "Compute the mean of every column of your output.", EQUATIONS,
    ),
]  # fmt: skip

_WHITEN = Exercise(
    "whiten",
    _right,
    [
        calls({"x": torch.tensor([[1.0, 2.0], [3.0, 1.0], [2.0, 6.0]])}),
        calls({"x": torch.tensor([[1.0, 5.0], [2.0, 7.0], [4.0, 6.0], [9.0, 20.0]])}),
    ],
    WHITEN,
    FOLKLORE,
)


def check_whiten(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check whitening: a normalization that removes correlations too.

    Args:
        fn: ``fn(x) -> y``, both of shape (N, C): the centered batch times the inverse square root
            of its (biased) covariance matrix; a small epsilon is allowed.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> check_whiten(lambda x: (x - x.mean(0)) / x.std(0, correction=0)).mistake
        'correlations left alone'

    Source: chapter 2, exercise 4.
    """
    return examine(_WHITEN, fn, limit)


EXERCISES = [_WHITEN]
