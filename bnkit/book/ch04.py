"""Chapter 4: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.text import Text
from torch import Tensor

from bnkit import functional
from bnkit.book.exercise import Exercise
from bnkit.book.mistakes_ch04 import (
    BACKWARD_1D,
    BACKWARD_2D,
    LAYER_NORM_BACKWARD,
    REMOVED,
    THREE_TERMS,
)
from bnkit.book.observe import Probe, as_seen, calls, scattered
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, appearance, new_axes, to_numpy

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "backward_graph",
    "batches_on_circle",
    "errors_by_size",
    "gradient_on_circle",
    "over_sizes_and_seeds",
]

CHAPTER = "04_backward"


def backward(grad_output, x, weight, eps):
    centered = x - x.mean(dim=0)
    rstd = 1 / torch.sqrt((centered**2).mean(dim=0) + eps)  # (C,)
    x_hat = centered * rstd  # (N, C)
    along_x_hat = x_hat * (grad_output * x_hat).mean(dim=0)
    projected = grad_output - grad_output.mean(dim=0) - along_x_hat
    return weight * rstd * projected, (grad_output * x_hat).sum(dim=0), grad_output.sum(dim=0)


OUTPUTS = ("grad_input", "grad_weight", "grad_bias")


def _right(grad_output: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, ...]:
    return functional.batch_norm_backward(grad_output, x, weight, eps)


def _probe(
    grad_output: Tensor, x: Tensor, weight: list, eps: float, essential: bool = True
) -> Probe:
    inputs = {"grad_output": grad_output, "x": x, "weight": torch.tensor(weight), "eps": eps}
    return calls(inputs, OUTPUTS, essential=essential)


# So small that eps counts beside its variance, and a column that does not vary.
_FAINT_G = torch.tensor([[1.0, 0.5, 2.0], [0.0, 2.0, 1.0], [0.0, -1.0, 0.0]]) / 1000
_FAINT = torch.tensor([[0.004, 0.0016, 0.5], [0.008, 0.0004, 0.5], [0.012, 0.0036, 0.5]])
_THREE = [2.0, -0.5, 1.0]
_FOUR = [1.5, -0.5, 2.0, 1.0]


_G = torch.tensor([[1.0, 0.5], [0.0, 2.0], [0.0, -1.0]])
_X = torch.tensor([[1.0, 0.4], [2.0, 0.1], [3.0, 0.9]])


def _locate(answer: Callable) -> str | None:
    """The first part that is wrong, on inputs that let one path through at a time."""
    x = torch.tensor([[-1.0], [-1.0], [2.0], [0.0]])  # mean 0, variance 1.5
    x_hat = x / 1.5**0.5
    straight = torch.tensor([[1.0], [-1.0], [0.0], [0.0]])  # mean 0 and perpendicular to x
    parts = {
        "grad_bias": (straight + 1, 2),
        "grad_weight": (straight + x_hat, 1),
        "the factor weight / sqrt(variance + eps) of grad_input": (straight, 0),
        "the path through the mean": (torch.ones(4, 1), 0),
        "the path through the variance": (x_hat, 0),
    }
    for name, (grad_output, number) in parts.items():
        inputs = grad_output, x, torch.tensor([2.0]), 0.5
        right = as_seen(_right(*inputs)[number])
        found = as_seen(answer(*(torch.as_tensor(value).clone() for value in inputs))[number])
        if right.shape != found.shape or not torch.allclose(right, found, rtol=1e-3, atol=1e-4):
            return name
    return None


_BACKWARD = Exercise(
    name="backward",
    chapter=CHAPTER,
    title="The backward pass",
    statement="Write `backward(grad_output, x, weight, eps)` for tensors of shape (N, C), weight "
    "of shape (C,), and batch normalization in training mode: return grad_input, grad_weight and "
    "grad_bias, each with the shape of what it is the gradient of, without autograd.",
    hints=(
        "Compute x_hat again. Two of the three gradients are sums over the batch.",
        "x reaches the output on three paths: directly, through the mean, and through the "
        "variance.",
        "What is left of grad_output is perpendicular to the ones and to x_hat.",
    ),
    solution=backward,
    oracle=_right,
    probes=[
        _probe(_G[:, :1], _X[:, :1], [1.0], 1e-5),
        _probe(_G, _X, [2.0, -0.5], 0.5),
        _probe(_G[:2], _X[:2], [3.0, 1.0], 0.1),
        _probe(_FAINT_G, _FAINT, _THREE, 1e-5),
        _probe(scattered(7, 4), scattered(4, 7).T, _FOUR, 0.2, False),
    ],
    mistakes=BACKWARD_1D,
    section=THREE_TERMS,
    locate=_locate,
    in_book=False,
    without=("autograd",),
)  # fmt: skip


def batch_norm_backward_2d(grad_output, x, weight, eps):
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    centered = x - x.mean(dims, keepdim=True)
    rstd = 1 / torch.sqrt((centered**2).mean(dims, keepdim=True) + eps)  # (1, C, 1, 1)
    x_hat = centered * rstd
    along_x_hat = x_hat * (grad_output * x_hat).mean(dims, keepdim=True)
    projected = grad_output - grad_output.mean(dims, keepdim=True) - along_x_hat
    grad_input = weight.view(shape) * rstd * projected
    return grad_input, (grad_output * x_hat).sum(dims), grad_output.sum(dims)


def _numbers(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A grad_output and an x of small whole numbers."""
    squares = torch.arange(float(torch.Size(shape).numel())).view(shape) ** 2
    return squares % 7 - 2, squares % 11


def _images(shape: tuple[int, ...], eps: float) -> Probe:
    return _probe(*_numbers(shape), [1.0, 2.0, -1.0][: shape[1]], eps)


_BACKWARD_2D = Exercise(
    name="backward_2d",
    chapter=CHAPTER,
    title="Images",
    statement="Write `batch_norm_backward_2d(grad_output, x, weight, eps)` for tensors of shape "
    "(N, C, H, W), weight of shape (C,), and batch normalization in training mode: return "
    "grad_input, grad_weight and grad_bias without autograd.",
    hints=(
        "The equation stays. Which numbers share a mean now, and how many are they?",
        "Every mean and sum over the batch runs over three axes.",
        "weight has shape (C,). With `view` it meets the channels.",
    ),
    solution=batch_norm_backward_2d,
    oracle=_right,
    probes=[
        _images((2, 2, 1, 2), 1e-5),
        _images((2, 3, 2, 2), 0.5),
        _images((3, 2, 2, 4), 0.1),
        _probe(_FAINT_G[:, :, None, None], _FAINT[:, :, None, None], _THREE, 1e-5),
        _probe(1000 * _FAINT_G[:, :, None, None], _FAINT[:, :, None, None], _THREE, 0.5),
        _probe(scattered(3, 4, 3, 2), scattered(3, 2, 4, 3).view(3, 4, 3, 2), _FOUR, 0.2, False),
    ],
    mistakes=BACKWARD_2D,
    without=("autograd",),
    section=THREE_TERMS,
)  # fmt: skip


def layer_norm_backward(grad_output, x, eps):
    g, x = grad_output.T, x.T  # the features of one example play the part of the batch
    centered = x - x.mean(dim=0)
    rstd = 1 / torch.sqrt((centered**2).mean(dim=0) + eps)
    x_hat = centered * rstd
    along_x_hat = x_hat * (g * x_hat).mean(dim=0)
    projected = g - g.mean(dim=0) - along_x_hat
    return (rstd * projected).T


def _rows(shape: tuple[int, int], eps: float) -> Probe:
    grad_output, x = _numbers(shape)
    return calls({"grad_output": grad_output, "x": x, "eps": eps}, ("grad_input",))


def _of_columns(grad_output: Tensor, x: Tensor, eps: float) -> Tensor:
    return functional.batch_norm_backward(grad_output.T, x.T, eps=eps)[0].T


_LAYER_NORM_BACKWARD = Exercise(
    name="layer_norm_backward",
    chapter=CHAPTER,
    title="The other axis",
    statement="Write `layer_norm_backward(grad_output, x, eps)` for tensors of shape (N, C): "
    "return the grad_input of layer normalization without weight and bias, and without autograd.",
    hints=(
        "Layer normalization normalizes each row. What would make a row look like a column?",
        "`batch_norm_backward` with weight 1 does all the work, between two transpositions.",
    ),
    solution=layer_norm_backward,
    oracle=_of_columns,
    probes=[
        _rows((1, 3), 1e-5),
        _rows((3, 3), 0.5),
        _rows((2, 5), 0.1),
        calls({"grad_output": _FAINT_G.T, "x": _FAINT.T, "eps": 1e-5}, ("grad_input",)),
        calls({"grad_output": 1000 * _FAINT_G.T, "x": _FAINT.T, "eps": 0.5}, ("grad_input",)),
        calls(
            {"grad_output": scattered(6, 7), "x": scattered(7, 6).T, "eps": 0.2},
            ("grad_input",),
            essential=False,
        ),
    ],
    mistakes=LAYER_NORM_BACKWARD,
    without=("autograd",),
    section=REMOVED,
)  # fmt: skip

EXERCISES = [_BACKWARD, _BACKWARD_2D, _LAYER_NORM_BACKWARD]

IN_TEXT = {
    "04-removed": Question(
        "A linear layer with a bias feeds batch normalization. What gradient does that bias "
        "receive?",
        [
            choice("Zero, up to rounding.", "Right: it is the sum of grad_input.", correct=True),
            choice(
                r"The same as \(\nabla\beta\).", "That sum arrives, but its mean is removed below."
            ),
            choice(
                "It depends on the data.", "A constant added to all rows changes no output, ever."
            ),
        ],
    ),
    "04-two": Question(
        r"\(x = (3, 11)\), so \(\sigma = 4\). \(\gamma = 1\), \(\epsilon = 0\), \(g = (1, 0)\). "
        r"First entry of \(\nabla x\)?",
        answer=0.0,
        feedback={
            "right": r"Right. Moving the 3 a little leaves \(\hat{x} = (-1, 1)\) as it is.",
            "wrong": r"\(\hat{x} = (-1, 1)\). Remove the mean of \(g\), then its part along "
            r"\(\hat{x}\).",
            0.25: r"That is \(g / \sigma\): the statistics were treated as constants.",
            0.125: "One of the two components is removed, the other is still there.",
        },
    ),
}


QUESTIONS = [
    Question(
        r"A batch of three with \( \hat{x} = (-a, 0, a) \), \( a = \sqrt{1.5} \), and "
        r"\( \epsilon = 0 \). Four backward passes return these `grad_input`. Which one can be "
        "right?",
        [
            choice(
                r"\( (1, 1, 1) \)",
                "Perpendicular to the normalized batch, but its sum is 3. A shift of all rows "
                "changes no output, so nothing may point there.",
            ),
            choice(
                r"\( (-1, 0, 1) \)",
                "It sums to zero and points along the normalized batch: a stretch, which the "
                "layer does not notice either.",
            ),
            choice(
                r"\( (1, -2, 1) \)",
                "It sums to zero and is perpendicular to the normalized batch. With three "
                "rows this is the only direction left.",
                correct=True,
            ),
            choice(
                r"\( (2, -1, -1) \)",
                "It sums to zero, so the path through the mean is there. Multiply with the "
                "normalized batch: the path through the variance is missing.",
            ),
        ],
    ),
    Question(
        "You fine-tune with the batch normalization in eval mode. A reviewer finds "
        r"\( \nabla x = \gamma\, g / \sqrt{r_{\sigma^2} + \epsilon} \) in your code and says "
        "that two terms are missing. Is that so?",
        [
            choice(
                "Yes: the mean of the gradient and its part along the normalized batch.",
                "Those two come from the paths through batch mean and batch variance. Ask "
                "whether these paths exist in this mode.",
            ),
            choice(
                "No: running statistics are constants, so only the direct path exists.",
                "The formula that is a bug in training mode is the exact gradient here.",
                correct=True,
            ),
            choice(
                "Yes, but with batches of 256 it does not matter.",
                "The size of the batch plays no part: in eval mode each example is treated "
                "alone. And in training the missing mean path does matter for the weights "
                "below.",
            ),
            choice(
                r"No, as long as \( \gamma \) and \( \beta \) are frozen too.",
                "Freezing them removes their own gradients. What passes through to the input "
                "is the same.",
            ),
        ],
    ),
]


# Figures and harness of the chapter


_NODES = {
    "x": (0.0, 1, r"$x$", r"$\nabla d + \frac{1}{N} \nabla\mu$", 6),
    "mu": (1.1, 0, r"$\mu$", r"$-\Sigma\; \nabla d$", 5),
    "d": (2.4, 1, r"$d = x - \mu$", r"$s\, \nabla\hat{x} + \frac{2}{N}\, d\, \nabla\sigma^2$", 4),
    "var": (3.3, 0, r"$\sigma^2$", r"$-\frac{1}{2}\, s^3\, \nabla s$", 3),
    "s": (5.1, 0, r"$s = (\sigma^2 + \epsilon)^{-1/2}$", r"$\Sigma\; d\, \nabla\hat{x}$", 2),
    "x_hat": (5.4, 1, r"$\hat{x} = d\, s$", r"$\gamma\, g$", 1),
    "gamma": (7.1, 0, r"$\gamma$", r"$\Sigma\; g\, \hat{x}$", 1),
    "beta": (8.3, 0, r"$\beta$", r"$\Sigma\; g$", 1),
    "y": (7.7, 1, r"$y = \gamma \hat{x} + \beta$", r"$g$", 0),
}
_EDGES = (
    *(("x", "mu"), ("x", "d"), ("mu", "d"), ("d", "var"), ("var", "s"), ("d", "x_hat")),
    *(("s", "x_hat"), ("x_hat", "y"), ("gamma", "y"), ("beta", "y")),
)
_PLANE = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])  # orthonormal, both sum to 0


def backward_graph(step: int = 6) -> Axes:
    """The computational graph of batch normalization, and how the gradient runs back through it."""
    ax = new_axes(None, figsize=(7.4, 2.9))
    boxes = {name: _box(ax, *node[:3]) for name, node in _NODES.items()}
    for start, end in _EDGES:
        _edge(ax, boxes[start], boxes[end], back=_NODES[start][4] <= step)
    for x, y, _, gradient, order in _NODES.values():
        if order <= step:
            label, aside = f"{gradient}  ({order or 'given'})", 0.42 if y else -0.42
            ax.text(x, y + aside, label, color=COLORS["bn"], ha="center", va="center")
    ax.set(xlim=(-0.9, 8.9), ylim=(-0.65, 1.65))
    ax.set_axis_off()
    return ax


def _box(ax: Axes, x: float, y: float, value: str) -> Text:
    look = {"boxstyle": "round,pad=0.4", "facecolor": "none", "edgecolor": COLORS["text"]}
    return ax.text(x, y, value, ha="center", va="center", bbox=look)


def _edge(ax: Axes, start: Text, end: Text, back: bool) -> None:
    """Forward in gray; beside it, once the backward pass has come this far, back in blue."""
    tail, head = np.array(start.get_position()), np.array(end.get_position())
    ahead = head - tail
    aside = 0.07 * np.array([-ahead[1], ahead[0]]) / np.hypot(*ahead)
    ends = {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
    forth = {"arrowstyle": "-|>", "color": COLORS["reference"], "linewidth": 1}
    ax.annotate("", head + aside, tail + aside, arrowprops=forth | ends)
    if back:
        look = {"arrowstyle": "<|-", "color": COLORS["bn"], "linestyle": "--", "linewidth": 1.2}
        ax.annotate("", head - aside, tail - aside, arrowprops=look | ends)


def batches_on_circle(batches: object) -> Axes:
    """Batches of three, centered and then normalized, in the plane of numbers that sum to 0."""
    ax = _circle(new_axes(None, figsize=(4.4, 4.0)))
    values = to_numpy(batches).astype(float)  # (B, 3)
    centered = values - values.mean(1, keepdims=True)
    x_hat = centered / centered.std(1, keepdims=True)
    for tail, head in zip(centered @ _PLANE.T, x_hat @ _PLANE.T, strict=True):
        ax.plot(*tail, "s", color=COLORS["other"], markersize=5)
        ax.plot(*head, "o", color=COLORS["bn"], markersize=6)
        ax.annotate("", head, tail, arrowprops=_arrow("reference", 1))
    return ax


def gradient_on_circle(x: float, gradient: float, common: float = 0.0) -> Sequence[Axes]:
    """For a batch of three: what normalization leaves of a gradient."""
    ax = plt.subplots(1, 2, figsize=(7, 3.5), gridspec_kw={"width_ratios": [1.35, 1]})[1]
    x_hat, in_plane = np.sqrt(3) * _at(x) @ _PLANE, 1.3 * _at(gradient) @ _PLANE
    g = in_plane + common
    kept = g - g.mean() - x_hat * (g * x_hat).mean()
    _split(_circle(ax[0]), *(_PLANE @ v for v in (x_hat, in_plane, kept)))
    _before_after(ax[1], g, kept)
    return ax


def _at(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def _circle(ax: Axes) -> Axes:
    """The circle of radius sqrt(3), and the direction in which each of the three examples grows."""
    turn = np.linspace(0, 2 * np.pi, 200)
    ax.plot(*(np.sqrt(3) * np.array([np.cos(turn), np.sin(turn)])), color=COLORS["text"], lw=1)
    for i, direction in enumerate(_PLANE.T * np.sqrt(1.5)):  # unit vectors, 120 degrees apart
        ax.plot(*np.outer(direction, [0, 2.55]), ":", color=COLORS["reference"], lw=0.8)
        ax.text(*(2.85 * direction), f"example {i + 1}", ha="center", va="center", fontsize=8)
    ax.plot(0, 0, "+", color=COLORS["text"])
    ax.set(xlim=(-3.2, 3.2), ylim=(-3.1, 2.6), aspect="equal")
    ax.set_axis_off()
    return ax


def _split(ax: Axes, at: np.ndarray, whole: np.ndarray, kept: np.ndarray) -> None:
    ax.plot([0, at[0]], [0, at[1]], color=COLORS["reference"], lw=1)
    ax.plot(*np.transpose([at + whole, at + kept]), "--", color=COLORS["reference"], lw=1.2)
    ax.annotate("", at + whole, at, arrowprops=_arrow("other"))
    if np.hypot(*kept) > 0.02:
        ax.annotate("", at + kept, at, arrowprops=_arrow("bn", 2.4))
    ax.plot(*at, "o", color=COLORS["bn"], markersize=6)


def _arrow(color: str, width: float = 1.8) -> dict:
    look = {"arrowstyle": "-|>", "color": COLORS[color], "shrinkA": 0, "shrinkB": 0}
    return look | {"linewidth": width}


def _before_after(ax: Axes, g: np.ndarray, kept: np.ndarray) -> None:
    place = np.arange(3)
    ax.bar(place - 0.2, g, 0.36, color="none", edgecolor=COLORS["other"], lw=1.6, label="arrives")
    ax.bar(place + 0.2, kept, 0.36, color=COLORS["bn"], label="is left")
    ax.axhline(0, color=COLORS["text"], lw=0.8)
    ax.set(xticks=place, xticklabels=["ex. 1", "ex. 2", "ex. 3"])
    ax.set(yticks=range(-1, 3), ylim=(-1.4, 2.6))
    ax.set_title(f"length {np.linalg.norm(g):.2f} → {np.linalg.norm(kept):.2f}")
    ax.legend(loc="upper right", ncols=2, fontsize=8)


def over_sizes_and_seeds(
    errors: Callable, slips: Sequence[str], sizes: Sequence[int], seeds: Sequence[int] = range(5)
) -> Tensor:
    """``errors(slips, n, seed)`` for every batch size and seed: (sizes, seeds, kinds of error)."""
    return torch.tensor([[errors(slips, n, seed) for seed in seeds] for n in sizes])


def errors_by_size(
    errors: Mapping[str, object],
    sizes: Sequence[int],
    titles: Sequence[str],
    *,
    yscale: str = "linear",
    sharey: bool = False,
) -> Sequence[Axes]:
    """How far several wrong versions are off, against the batch size, a panel for each measure."""
    ax = plt.subplots(1, len(titles), figsize=(7, 3.2), sharey=sharey)[1]
    for i, (name, values) in enumerate(errors.items()):
        values, look = to_numpy(values).astype(float), appearance(name, i + 1)
        for panel, axes in enumerate(ax):
            one = values[:, :, panel]  # (sizes, seeds)
            axes.fill_between(sizes, one.min(1), one.max(1), color=look["color"], alpha=0.2, lw=0)
            axes.plot(sizes, one.mean(1), label=name, **look)
    for title, axes in zip(titles, ax, strict=True):
        axes.set(title=title, xlabel="batch size", xscale="log", yscale=yscale)
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.minorticks_off()
    ax[0].legend(fontsize=8)
    return ax
