"""Chapter 2, The equations: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from bnkit import functional
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Probe, calls, first_wrong_step, scattered
from bnkit.book.page import Html
from bnkit.book.quiz import Question, choice, predict
from bnkit.plots import COLORS, to_numpy

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS", "feature_spread", "folklore_prediction"]

CHAPTER = "02_equations"

EQUATIONS = "02_equations.ipynb#The equations"
AXES = "02_equations.ipynb#Which axes?"
EPSILON = "02_equations.ipynb#Epsilon: what happens when nothing varies"
UNDO = "02_equations.ipynb#Gamma and beta: what they can undo"
WHICH_VARIANCE = "02_equations.ipynb#Which variance? A batch of two decides"
TWO_FORMULAS = "02_equations.ipynb#Two formulas for the variance, one of them dangerous"
FOLKLORE = (
    '02_equations.ipynb#Folklore: "the output is Gaussian" and "the features become independent"'
)
WRONG_GRADIENTS = "04_backward.ipynb#Four wrong versions"
IMAGES = "05_manual_implementation.ipynb#Images: choose the axes"


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


_SLIPS = [  # of the pen, for vectors and for images
    Mistake("mean added, not subtracted", EQUATIONS, "x_hat = (x - mean) -> x_hat = (x + mean)",
        "Compute the mean of every feature of your output, with bias 0. What should it be?",
        ("((x - mean) ** 2) -> ((x + mean) ** 2)",)),
    Mistake("deviations not squared", EQUATIONS, "((x - mean) ** 2) -> (x - mean)",
        "What is the mean of x minus its mean, before anything is squared?",
        (" ** 2 ->  * 2", " ** 2 ->  ** 3", " ** 2 ->  ** 0")),
    Mistake("epsilon subtracted", EPSILON, "var + eps -> var - eps",
        "Epsilon keeps the number under the root above 0. What does yours do where var is 0?"),
    Mistake("beta subtracted", UNDO, "+ bias -> - bias",
        "With bias 3 the mean of your output should be 3."),
    Mistake("divided by x_hat", UNDO, " * x_hat ->  / x_hat",
        "Double weight, with bias 0: the output doubles. Now double x_hat. What happens?"),
]  # fmt: skip
_OVER_FEATURES = (
    "mean = x.mean(dim=0) -> mean = x.mean(dim=1, keepdim=True)",
    "2).mean(dim=0) -> 2).mean(dim=1, keepdim=True)",
)
_NO_KEEPDIM = (
    "mean = x.mean(dim=0) -> mean = x.mean(dim=1)",
    "((x - mean) ** 2).mean(dim=0) -> x.var(dim=1, unbiased=False)",
)
_FORWARD = Exercise(
    name="forward",
    chapter=CHAPTER,
    title="The forward pass",
    statement="Write `batch_norm_train(x, weight, bias, eps)` for `x` of shape (N, C): normalize "
    "each feature with the mean and the biased variance of the batch, then scale and shift.",
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
    mistakes=[
        Mistake("wrong axis", AXES, _OVER_FEATURES,
            "Which numbers should share a mean: those of one example, or those of one feature? "
            "How many means do you get for a batch of shape (3, 2)?",
            (
                _NO_KEEPDIM,
                Patch("dim=0", "dim=1", all=True),
                "mean = x.mean(dim=0) -> mean = x.mean(dim=1)",
                "2).mean(dim=0) -> 2).mean(dim=1)",
            )),
        Mistake("one mean for all features", AXES, Patch("mean(dim=0)", "mean()", all=True),
            "Two features may be measured in meters and in millimeters. How many means and "
            "variances does a batch with two features need?",
            ("mean = x.mean(dim=0) -> mean = x.mean()",)),
        Mistake("one variance for all features", AXES, "2).mean(dim=0) -> 2).mean()",
            "How many numbers does your variance hold, and how many features are there?"),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((x - mean) ** 2).mean(dim=0) -> x.var(dim=0)",
            "Take a batch of two. By which number does your variance divide the sum of squares? "
            "What is the default of torch.var?"),
        Mistake(
            "epsilon outside the root", EPSILON, "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)",
            "Follow epsilon from left to right in the equation: is it added to a variance or to a "
            "standard deviation?",
        ),
        Mistake("epsilon missing", EPSILON, " + eps -> ",
            "What does your code return for a feature that has the same value in every example?"),
        Mistake("epsilon fixed", EPSILON, "+ eps -> + 1e-5",
            "Call your function with eps=0.5 and with eps=1e-5. Does anything change?"),
        Mistake("variance as E[x²] − E[x]²", TWO_FORMULAS,
            "((x - mean) ** 2).mean(dim=0) -> (x * x).mean(dim=0) - mean * mean",
            "Add 10,000 to every input, in float32. The output should not change at all."),
        Mistake("detached statistics", WRONG_GRADIENTS,
            ("mean = x -> mean = x.detach()", "(x - mean) ** 2 -> (x.detach() - mean) ** 2"),
            "The values are right and the gradient is not. Does each x also act through the mean "
            "and the variance that it is part of?"),
        Mistake("detached variance", WRONG_GRADIENTS, "(x - mean) ** 2 -> (x - mean).detach() ** 2",
            "The values are right. One of the two statistics lets no gradient through: which one?"),
        Mistake("detached mean", WRONG_GRADIENTS, "mean = x -> mean = x.detach()",
            "The values are right. The gradient of x should sum to zero in every column, and yours "
            "does not."),
        Mistake("divided by the variance", EQUATIONS, "torch.sqrt(var + eps) -> (var + eps)",
            "If x is in meters, the variance is in square meters. In which unit is your x_hat?"),
        Mistake("multiplied by the standard deviation", EQUATIONS, "/ torch.sqrt -> * torch.sqrt",
            "A feature with a large spread should be made smaller. Try one with spread 100."),
        Mistake("mean not subtracted", EQUATIONS, "x_hat = (x - mean) -> x_hat = x",
            "Compute the mean of every column of your output, with bias 0. What should it be?"),
        Mistake("mean square instead of variance", EQUATIONS, "((x - mean) ** 2) -> (x**2)",
            "Which mean is squared away in the variance: that of x, or that of x minus its mean?"),
        Mistake("gamma and beta swapped", UNDO, "weight * x_hat + bias -> bias * x_hat + weight",
            "With weight 1 and bias 0, what comes out of your last line?"),
        Mistake("beta forgotten", UNDO, " + bias -> ",
            "Call your function with two different biases. Does the output move?"),
        Mistake("gamma forgotten", UNDO, "weight *  -> ",
            "Call your function with two different weights. Does the output change?"),
        Mistake("gamma and beta forgotten", UNDO, "weight * x_hat + bias -> x_hat",
            "Which two arguments does your function never use?"),
        Mistake("beta scaled by gamma", UNDO, "weight * x_hat + bias -> weight * (x_hat + bias)",
            "Set weight to 0. What should be left of the output?"),
        Mistake("not normalized", EQUATIONS,
            "(x - mean) / torch.sqrt(var + eps) -> x / math.sqrt(1 + eps)",
            "Multiply x by 10. Should the output change? A mean of 0 and a variance of 1 are what "
            "a layer in evaluation mode starts with.",
            ("(x - mean) / torch.sqrt(var + eps) -> x",)),
        *_SLIPS,
    ],
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
    shape: tuple[int, ...], eps: float, gradients: bool = False, offset: float = 0.0
) -> Probe:
    count, channels = torch.Size(shape).numel(), shape[1]
    inputs = {
        "x": (torch.arange(count) ** 2 % 11 + offset).float().view(shape),
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
    "channel has one mean and one variance, over all examples and all pixels.",
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
        _wide(scattered(5, 4, 3, 5)),
    ],
    mistakes=[
        Mistake("statistics for every pixel", AXES, "(0, 2, 3) -> (0,)",
            "A filter does the same thing everywhere in the image. How many means does an input of "
            "shape (N, C, H, W) have, then?"),
        Mistake("statistics for every example", AXES, "(0, 2, 3) -> (2, 3)",
            "Change one image of the batch and look at the output of another. Should it move? "
            "Which layer leaves it alone?"),
        Mistake("statistics over the channels", AXES, "(0, 2, 3) -> (1, 2, 3)",
            "The shape (N, C, H, W) names four axes. Which one keeps its own statistics?",
            ("(0, 2, 3) -> (1,)", "(0, 2, 3) -> (0, 1, 3)", "(0, 2, 3) -> (0, 1, 2)")),
        Mistake("an axis of the image left out", AXES, "(0, 2, 3) -> (0, 2)",
            "Height and width are both positions. Over which of them does your mean extend?",
            ("(0, 2, 3) -> (0, 3)",)),
        Mistake("axes not kept", AXES, Patch(", keepdim=True", "", all=True),
            "Print the shape of your mean. With which axis of x does a tensor of shape (C,) line "
            "up?",
            (
                "x.mean(dims, keepdim=True) -> x.mean(dims)",
                "2).mean(dims, keepdim=True) -> 2).mean(dims)",
            )),
        Mistake("one mean for all channels", AXES, "(0, 2, 3) -> (0, 1, 2, 3)",
            "How many numbers does your mean hold, and how many channels are there?"),
        Mistake("weight not reshaped", IMAGES,
            ("weight.view(shape) -> weight", "bias.view(shape) -> bias"),
            "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is "
            "that?",
            ("(1, -1, 1, 1) -> (2, -1, 1, 1)", "(1, -1, 1, 1) -> (1, 1, 1, -1)")),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((x - mean) ** 2).mean(dims, -> x.var(dims,",
            "By which number does your variance divide, for 2 images of 1 × 2 pixels: 3 or 4?"),
        Mistake("divided by N instead of N·H·W", AXES,
            ("x.mean(dims, keepdim=True) -> x.sum(dims, keepdim=True) / len(x)",
             "2).mean(dims, keepdim=True) -> 2).sum(dims, keepdim=True) / len(x)"),
            "How many numbers does one channel hold in a batch of N images of H × W pixels?",
            ("2).mean(dims, keepdim=True) -> 2).sum(dims, keepdim=True) / len(x)",)),
        Mistake("mean of the variances of the images", "12_train_test_mismatch.ipynb#Two variances",
            "((x - mean) ** 2).mean(dims, keepdim=True) -> "
            "x.var((2, 3), unbiased=False, keepdim=True).mean(0, keepdim=True)",
            "Two images, one all black and one all white: each has variance 0. Has the batch?"),
        Mistake(
            "epsilon outside the root", EPSILON, "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)",
            "Is epsilon added to a variance or to a standard deviation?",
        ),
        Mistake("epsilon missing", EPSILON, " + eps -> ",
            "What does your code return for a channel that has the same value in every pixel?"),
        Mistake("variance as E[x²] − E[x]²", TWO_FORMULAS,
            "((x - mean) ** 2).mean(dims, keepdim=True) -> "
            "(x * x).mean(dims, keepdim=True) - mean * mean",
            "Add 10,000 to every pixel, in float32. The output should not change at all."),
        Mistake("gamma and beta forgotten", UNDO,
            "weight.view(shape) * x_hat + bias.view(shape) -> x_hat",
            "Which two arguments does your function never use?"),
        Mistake("beta forgotten", UNDO, " + bias.view(shape) -> ",
            "Call your function with two different biases. Does the output move?"),
        Mistake("gamma forgotten", UNDO, "weight.view(shape) *  -> ",
            "Call your function with two different weights. Does the output change?"),
        Mistake("detached statistics", WRONG_GRADIENTS,
            ("mean = x -> mean = x.detach()", "(x - mean) ** 2 -> (x.detach() - mean) ** 2"),
            "The values are right and the gradient is not. Does each x also act through the mean "
            "and the variance that it is part of?"),
        Mistake("multiplied by the standard deviation", EQUATIONS, "/ torch.sqrt -> * torch.sqrt",
            "A channel with a large spread should be made smaller. Try one with spread 100."),
        *_SLIPS,
    ],
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


def _inverse_root(x: Tensor) -> Tensor:
    """By singular values: the centered batch is U S V^T, and its whitened form sqrt(N) U V^T."""
    centered = x - x.mean(0)
    left, values, right = torch.linalg.svd(centered, full_matrices=False)
    return left @ torch.diag(values / (values.square() / len(x) + 1e-5).sqrt()) @ right


_TURNED = "return centered @ vectors @ torch.diag(values.rsqrt()) @ vectors.T"
_CHOLESKY = """factor = torch.linalg.cholesky(cov)
    return torch.linalg.solve_triangular(factor, centered.T, upper=False).T"""
_WHITEN = Exercise(
    name="whiten",
    chapter=CHAPTER,
    title="Whitening",
    statement="Write `whiten(x)` for `x` of shape (N, C): multiply the centered batch by the "
    "inverse square root of its covariance matrix (divided by N), so that the outputs are "
    "uncorrelated.",
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
        calls({"x": torch.tensor([[1.0, 2.0], [3.0, 1.0], [2.0, 6.0]])}),
        calls({"x": torch.tensor([[1.0, 5.0], [2.0, 7.0], [4.0, 6.0], [9.0, 20.0]])}),
        calls({"x": scattered(7, 3)}, essential=False),
    ],
    mistakes=[
        Mistake("correlations left alone", FOLKLORE,
            "cov = centered.T @ centered / len(x) -> "
            "cov = torch.diag((centered**2).mean(dim=0))",
            "Print the correlation of your two outputs. Which matrix do you divide by?"),
        Mistake("not rotated back", FOLKLORE, " @ vectors.T -> ",
            "Your outputs are white, and turned. If x was white from the start, should it change?",
            (Patch(_TURNED, _CHOLESKY),)),
        Mistake("inverse without the root", FOLKLORE, "values.rsqrt() -> 1 / values",
            "Compute the covariance of your output. Which power of the matrix makes it the "
            "identity?"),
        Mistake("root without the inverse", FOLKLORE, "values.rsqrt() -> values.sqrt()",
            "Does your function shrink a feature with a large spread, or stretch it?"),
        Mistake("unbiased covariance", WHICH_VARIANCE, "/ len(x) -> / (len(x) - 1)",
            "By which number do you divide the products: N or N − 1?"),
        Mistake("mean not subtracted", EQUATIONS, "return centered @ -> return x @",
            "Compute the mean of every column of your output.",
            ("x - x.mean(dim=0) -> x + x.mean(dim=0)",)),
        Mistake("one mean for all features", AXES, "x.mean(dim=0) -> x.mean()",
            "Compute the mean of every column of your output. Are all of them zero?"),
        Mistake("products not averaged", EQUATIONS, " / len(x) -> ",
            "Repeat every row of x. Should the output of the first row change?",
            ("/ len(x) -> * len(x)",)),
        Mistake("epsilon not on the diagonal", EPSILON, "eps * torch.eye -> eps / torch.eye",
            "Print what you add to the covariance matrix. Where should it be zero?"),
    ],
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
