"""Chapter 2, The equations: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from bnkit import functional
from bnkit.book.exercise import Exercise
from bnkit.book.ingredients import AXES, EQUATIONS
from bnkit.book.mistakes_ch02 import FOLKLORE, FORWARD, FORWARD_2D, WHITEN
from bnkit.book.observe import Facets, Probe, as_seen, calls, first_wrong_step, scattered
from bnkit.book.page import Html
from bnkit.book.quiz import Question, choice, predict
from bnkit.plots import COLORS, to_numpy

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS", "feature_spread", "folklore_prediction"]

CHAPTER = "02_equations"


# The forward pass


def batch_norm_train(x, weight, bias, eps):
    mean = x.mean(dim=0)  # (C,)
    var = ((x - mean) ** 2).mean(dim=0)  # (C,), biased
    x_hat = (x - mean) / torch.sqrt(var + eps)  # (N, C)
    return weight * x_hat + bias


def _right(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return functional.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def _wide(x: Tensor) -> Probe:
    """More examples and features than the small probes have."""
    count = x.shape[1]
    affine = {"weight": torch.arange(count) + 0.5, "bias": 1.0 - torch.arange(count)}
    return calls({"x": x, **affine, "eps": 0.05}, essential=False)


def _probe(rows: list, weight: list, bias: list, eps: float, gradients: bool = False) -> Probe:
    given = {"x": torch.tensor(rows), "weight": torch.tensor(weight), "bias": torch.tensor(bias)}
    return calls(given | {"eps": eps}, gradients=("x",) if gradients else ())


def _locate(answer: Callable) -> str:
    x = torch.tensor([[1.0, 0.5, -2.0], [2.0, 0.9, 5.0], [6.0, 0.1, 1.0], [4.0, 0.2, 0.0]])
    return first_wrong_step(lambda eps: answer(x.clone(), torch.ones(3), torch.zeros(3), eps), x)


_FORWARD = Exercise(
    name="forward",
    chapter=CHAPTER,
    title="The forward pass",
    statement="Write `batch_norm_train(x, weight, bias, eps)` for `x` of shape (N, C): normalize "
    "each feature with the mean and the biased variance of the batch, then scale and shift. Return "
    "the output alone. Gradients flow to x, through the mean and the variance too; an answer in "
    "Python's or NumPy's numbers, through which none can flow, is judged by its values.",
    hints=(
        "Four lines are enough: mean, variance, x_hat, output.",
        "Over which axis is the mean of a feature taken? Its result has shape (C,).",
        "Which of N and N − 1 does the variance divide by, and where does epsilon stand?",
    ),
    solution=batch_norm_train,
    oracle=_right,
    probes=[
        _probe([[1.0, 10.0], [3.0, 50.0]], [1.0, 1.0], [0.0, 0.0], 1e-5),
        _probe([[1.0, 0.5], [2.0, 0.9], [6.0, 0.1]], [2.0, 0.5], [1.0, -3.0], 0.5, gradients=True),
        _probe([[2.0, 0.0], [2.0, 0.002]], [1.0, 2.0], [0.5, 1.0], 1e-5),
        _probe([[10001.0], [10003.0]], [1.0], [0.0], 1e-5),
        _probe(
            [[0.3, -2.0, 1.0], [1.0, 0.4, 2.0], [0.2, 0.7, 9.0]],
            [1.0, 2.0, 3.0], [3.0, 0.0, 1.0], 1e-3,
        ),
        _wide(scattered(7, 5)),
    ],
    mistakes=FORWARD,
    section=EQUATIONS,
    locate=_locate,
    in_book=False,
)  # fmt: skip


# The forward pass for images


def batch_norm_2d(x, weight, bias, eps):
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    mean = x.mean(dims, keepdim=True)  # (1, C, 1, 1)
    var = ((x - mean) ** 2).mean(dims, keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return weight.view(shape) * x_hat + bias.view(shape)


def _image_probe(
    shape: tuple[int, ...], eps: float, gradients: bool = False, offset: float = 0.0, by: float = 1
) -> Probe:
    count, channels = torch.Size(shape).numel(), shape[1]
    inputs = {
        "x": (by * (torch.arange(count) ** 2 % 11) + offset).view(shape),
        "weight": torch.arange(channels) + 1.0,
        "bias": 2.0 - torch.arange(channels),
        "eps": eps,
    }
    return calls(inputs, gradients=("x",) if gradients else ())


def _locate_2d(answer: Callable) -> str:
    x = (torch.arange(48) ** 2 % 13).float().view(3, 2, 2, 4)

    def normalize(eps: float) -> Tensor:
        y = torch.as_tensor(answer(x.clone(), torch.ones(2), torch.zeros(2), eps))
        return y.movedim(1, -1).reshape(-1, 2) if y.dim() == 4 else y

    return first_wrong_step(normalize, x.movedim(1, -1).reshape(-1, 2))  # (N * H * W, C)


_FORWARD_2D = Exercise(
    name="forward_2d",
    chapter=CHAPTER,
    title="The forward pass for images",
    statement="Write `batch_norm_2d(x, weight, bias, eps)` for `x` of shape (N, C, H, W): a "
    "channel has one mean and one biased variance, over all examples and all pixels. Return the "
    "output alone. Gradients flow to x, through the mean and the variance too; an answer in "
    "Python's or NumPy's numbers, through which none can flow, is judged by its values.",
    hints=(
        "How many numbers share one mean? N · H · W of them.",
        "Pass all three axes to `mean` at once, and keep them for broadcasting.",
        "weight has shape (C,). Which shape meets x at the channels?",
    ),
    solution=batch_norm_2d,
    oracle=_right,
    probes=[
        _image_probe((2, 2, 1, 2), 1e-5, gradients=True),
        _image_probe((2, 3, 2, 2), 0.5),
        _image_probe((3, 2, 2, 4), 1e-3),
        _image_probe((2, 2, 2, 2), 1e-5),
        _image_probe((2, 1, 1, 2), 1e-5, offset=10000.0),
        _image_probe((2, 2, 1, 2), 1e-5, by=0.001),
        _image_probe((2, 2, 1, 2), 0.5, by=0.1),
        _image_probe((2, 2, 1, 2), 1e-5, by=0, offset=3.0),
        _wide(scattered(5, 4, 3, 5)),
    ],
    mistakes=FORWARD_2D,
    section=AXES,
    locate=_locate_2d,
    in_book=False,
)  # fmt: skip


# Whitening


def whiten(x, eps=1e-5):
    centered = x - x.mean(dim=0)
    cov = centered.T @ centered / len(x)  # (C, C)
    values, vectors = torch.linalg.eigh(cov + eps * torch.eye(x.shape[1]))
    return centered @ vectors @ torch.diag(values.rsqrt()) @ vectors.T


def _inverse_root(x: Tensor, eps: float = 1e-5) -> Tensor:
    """By singular values: the centered batch is U S V^T, and its whitened form sqrt(N) U V^T."""
    centered = x - x.mean(0)
    left, values, right = torch.linalg.svd(centered, full_matrices=False)
    return left @ torch.diag(values / (values.square() / len(x) + eps).sqrt()) @ right


def _at_eps(x: Tensor, eps: float) -> Probe:
    """How much epsilon counts, for an answer that takes one."""

    def run(answer: Callable) -> Facets:
        if len(inspect.signature(answer).parameters) < 2:
            return {"output": None, "turned": None}
        return _up_to_a_turn(answer(x.clone(), eps), x, eps)

    return Probe({"x": x, "eps": eps}, run)


def _whitens(x: Tensor, essential: bool = True) -> Probe:
    return Probe({"x": x}, lambda answer: _up_to_a_turn(answer(x.clone()), x, 1e-5), essential)


def _up_to_a_turn(returned: object, x: Tensor, eps: float) -> Facets:
    """The output; where it has the right covariances and is turned, that alone: turns are many."""
    seen, centered = as_seen(returned), as_seen(x - x.mean(0))
    if isinstance(seen, str) or seen.shape != x.shape:
        return {"output": seen}
    for count, turned in ((len(x), "yes"), (len(x) - 1, "yes, and divided by N − 1")):
        cov = centered.T @ centered / count + eps * torch.eye(x.shape[1], dtype=seen.dtype)
        products = centered @ torch.linalg.solve(cov, centered.T)  # of all rows, however turned
        white = torch.allclose(seen @ seen.T, products, rtol=1e-3, atol=1e-3)
        if white and not _is_root(centered.T @ seen):
            return {"output": None, "turned": turned}
    return {"output": seen, "turned": "no"}


def _is_root(matrix: Tensor) -> bool:
    """Whether a matrix is symmetric and positive, as a root that does not turn is."""
    symmetric = torch.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-3)
    return symmetric and bool((torch.linalg.eigvalsh(matrix) > 0).all())


_THREE = torch.tensor(
    [[1.0, 2.0, 0.0], [3.0, 1.0, 4.0], [2.0, 6.0, 1.0], [0.0, 3.0, 2.0], [7.0, 2.0, 5.0]]
)
_FOUR = torch.tensor([[1.0, 5.0], [2.0, 7.0], [4.0, 6.0], [9.0, 20.0]])
_WHITEN = Exercise(
    name="whiten",
    chapter=CHAPTER,
    title="Whitening",
    statement="Write `whiten(x, eps=1e-5)` for `x` of shape (N, C): multiply the centered batch by "
    "the inverse square root of its covariance matrix (divided by N, with eps added to its "
    "diagonal), so that the outputs are uncorrelated. The values are looked at, no gradient is.",
    hints=(
        "The covariance matrix is a product of the centered batch with itself. Its shape is "
        "(C, C).",
        "`torch.linalg.eigh` takes a symmetric matrix apart. What does a power of the matrix "
        "do to its eigenvalues?",
        "After the division in the directions of the eigenvectors, turn back: multiply by the "
        "transposed eigenvectors.",
    ),
    solution=whiten,
    oracle=_inverse_root,
    probes=[
        _whitens(torch.tensor([[1.0, 2.0], [3.0, 1.0], [2.0, 6.0]])),
        _whitens(_FOUR),
        _whitens(_THREE),
        _at_eps(_FOUR, 0.5),
        _whitens(scattered(9, 4), essential=False),
    ],
    mistakes=WHITEN,
    section=FOLKLORE,
)  # fmt: skip

EXERCISES = [_FORWARD, _FORWARD_2D, _WHITEN]

IN_TEXT = {
    "02-biased": Question(
        "A batch holds two examples. You multiply one of them by 1,000. What happens to "
        r"\(\hat{x}\)?",
        [
            choice(
                "It grows by about 1,000.",
                r"The standard deviation grows with it, and divides it out again.",
            ),
            choice(
                r"Nothing: it stays \(\pm 1\), unless the order of the two flips.",
                r"With two values, \(x - \mu\) is \(\pm\) half their distance, and so is "
                r"\(\sigma\).",
                correct=True,
            ),
            choice(
                "It shrinks to almost zero.",
                r"That would need a \(\sigma\) that grows faster than the values do.",
            ),
        ],
    ),
    "02-axes": Question(
        "An activation has shape (64, 32, 28, 28). Over how many numbers does BatchNorm2d "
        "average to get one mean?",
        answer=64 * 28 * 28,
        tolerance=0,
        feedback={
            "right": r"\(N \cdot H \cdot W = 64 \cdot 28 \cdot 28\). There are 32 such means.",
            "wrong": "Count every position that shares the channel: examples times height times "
            "width.",
            64: "That is one mean per channel and pixel. Positions share the weights of a "
            "convolution, so they share statistics.",
            32: "That is how many means there are, not how many numbers each one averages.",
            28 * 28: "That would be one mean per image: instance normalization.",
        },
    ),
}


QUESTIONS = [
    Question(
        r"A batch of two, one feature: \( x = (2, 10) \). With \( \gamma = 2 \), "
        r"\( \beta = 1 \) and \( \epsilon = 0 \), what is the second output?",
        answer=3.0,
        feedback={
            "right": r"\( \mu = 6 \) and \( \sigma = 4 \), so \( \hat{x} = 1 \) and "
            r"\( y = 2 \cdot 1 + 1 \). The distance between the two did not matter.",
            "wrong": "In this order: mean, biased variance, its root, divide, scale, shift.",
            2.414: r"That is the unbiased variance, 32. It makes \( \hat{x} = 0.707 \).",
            4: r"You added \( \beta \) before you multiplied by \( \gamma \).",
            2: r"\( \gamma \hat{x} \) alone. The shift is missing.",
            1.5: "You divided by the variance, 16. The layer divides by its root.",
        },
    ),
    Question(
        "In float32 a home-made layer returns `nan` for one feature. Its values lie near "
        "20,000, and their true variance is about 1. Which cause fits?",
        [
            choice(
                r"\( \epsilon \) is too small.",
                "It guards against a variance of 0. Here the true one is 1, and no usual "
                "epsilon could repair what was computed instead.",
            ),
            choice(
                "The variance is computed as `(x**2).mean(0) - x.mean(0)**2`.",
                r"Both terms are near \( 4 \cdot 10^8 \), where neighboring float32 numbers "
                "are 32 apart. The difference is rounding, and may be negative under the "
                "root.",
                correct=True,
            ),
            choice(
                r"Squares near \( 4 \cdot 10^8 \) overflow float32.",
                r"float32 reaches beyond \( 10^{38} \). What runs out is not range but digits.",
            ),
            choice(
                r"\( \gamma \) is negative.",
                "It only mirrors the output. It comes after the root.",
            ),
        ],
    ),
]


# Figures and explorables of the chapter


def feature_spread(groups: Mapping[str, object]) -> Sequence[Axes]:
    """Mean and standard deviation of every feature, a panel for each batch (N, C)."""
    ax = np.atleast_1d(plt.subplots(1, len(groups), figsize=(7, 2.8), sharey=True)[1])
    for axes, (name, batch) in zip(ax, groups.items(), strict=True):
        values = to_numpy(batch).astype(float)  # (N, C)
        order = values.mean(axis=0).argsort()
        mean, std = values.mean(axis=0)[order], values.std(axis=0)[order]  # (C,), (C,)
        axes.vlines(range(len(mean)), mean - std, mean + std, color=COLORS["bn"], alpha=0.35)
        axes.plot(mean, ".", color=COLORS["plain"], markersize=3)
        axes.axhline(0, color=COLORS["reference"], linewidth=0.8)
        axes.set(title=name, xlabel="hidden unit, sorted by mean")
    ax[0].set_ylabel("mean ± standard deviation")
    return ax


def folklore_prediction(before: Tensor, after: Tensor, skewness: Callable[[Tensor], float]) -> Html:
    """Have the reader guess what becomes of skewness and correlation, then show both clouds."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 2.6))
    for ax, (name, data) in zip(axes, {"before": before, "after": after}.items(), strict=True):
        ax.plot(*data[:600].T, ".", markersize=3, color=COLORS["bn"], alpha=0.5)
        corr = torch.corrcoef(data.T)[0, 1]
        ax.set(title=f"{name}: skew {skewness(data[:, 0]):.2f}, corr. {corr:.2f}")
        ax.set(xlabel="feature 1", ylabel="feature 2")
    return predict(
        "Two features are correlated, and the first is strongly skewed. After batch normalization…",
        [
            choice(
                "both numbers are near zero",
                "That would be whitening plus a change of shape. BN does neither.",
            ),
            choice(
                "the skewness vanishes, the correlation stays",
                "Skewness is computed from standardized values too.",
            ),
            choice(
                "both stay as they were",
                "Both are functions of standardized values.",
                correct=True,
            ),
        ],
        reveal=fig,
        alt="Two scatter plots, before and after. The cloud keeps its slanted, skewed shape; only "
        "the axes change.",
    )
