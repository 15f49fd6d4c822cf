"""The backward pass as pictures: its graph, its geometry for three examples, its mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from bnkit.plots.style import COLORS, new_axes, to_numpy

__all__ = ["backward_graph", "batches_on_circle", "errors_by_size", "gradient_on_circle"]

# name: (x, y, value, gradient, step of the backward pass)
_NODES = {
    "x": (0.0, 1, r"$x$", r"$\nabla c + \frac{1}{N} \nabla\mu$", 6),
    "mu": (1.1, 0, r"$\mu$", r"$-\Sigma\; \nabla c$", 5),
    "c": (2.4, 1, r"$c = x - \mu$", r"$r\, \nabla\hat{x} + \frac{2}{N}\, c\, \nabla\sigma^2$", 4),
    "var": (3.3, 0, r"$\sigma^2$", r"$-\frac{1}{2}\, r^3\, \nabla r$", 3),
    "r": (5.1, 0, r"$r = (\sigma^2 + \epsilon)^{-1/2}$", r"$\Sigma\; c\, \nabla\hat{x}$", 2),
    "x_hat": (5.4, 1, r"$\hat{x} = c\, r$", r"$\gamma\, g$", 1),
    "gamma": (7.1, 0, r"$\gamma$", r"$\Sigma\; g\, \hat{x}$", 1),
    "beta": (8.3, 0, r"$\beta$", r"$\Sigma\; g$", 1),
    "y": (7.7, 1, r"$y = \gamma \hat{x} + \beta$", r"$g$", 0),
}
_EDGES = (
    *(("x", "mu"), ("x", "c"), ("mu", "c"), ("c", "var"), ("var", "r"), ("c", "x_hat")),
    *(("r", "x_hat"), ("x_hat", "y"), ("gamma", "y"), ("beta", "y")),
)
_PLANE = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])  # orthonormal, both sum to 0


def backward_graph(ax: Axes | None = None, *, step: int = 6) -> Axes:
    """The computational graph of batch normalization, and how the gradient runs back through it.

    Args:
        ax: axes to draw on; a new figure by default.
        step: last step of the backward pass that is shown, from 0 to 6.

    Returns:
        The axes: values in boxes, gradients beside them with the number of their step.

    Example:
        >>> len(backward_graph(step=0).texts) < len(backward_graph().texts)
        True
    """
    ax = new_axes(ax, figsize=(7.4, 2.9))
    boxes = {name: _box(ax, *node[:3]) for name, node in _NODES.items()}
    for start, end in _EDGES:
        _edge(ax, boxes[start], boxes[end], back=_NODES[start][4] <= step)
    for x, y, _, gradient, order in _NODES.values():
        if order <= step:
            label = f"{gradient}  ({order})" if order else f"{gradient}  (given)"
            ax.text(
                x, y + (0.42 if y else -0.42), label, color=COLORS["bn"], ha="center", va="center"
            )
    ax.set(xlim=(-0.9, 8.9), ylim=(-0.65, 1.65))
    ax.set_axis_off()
    return ax


def _box(ax: Axes, x: float, y: float, value: str) -> Text:
    look = {"boxstyle": "round,pad=0.4", "facecolor": "none", "edgecolor": COLORS["text"]}
    return ax.text(x, y, value, ha="center", va="center", bbox=look)


def _edge(ax: Axes, start: Text, end: Text, back: bool) -> None:
    """Forward in grey; beside it, once the backward pass has come this far, back in blue."""
    tail, head = np.array(start.get_position()), np.array(end.get_position())
    ahead = head - tail
    aside = 0.07 * np.array([-ahead[1], ahead[0]]) / np.hypot(*ahead)
    ends = {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
    forth = {"arrowstyle": "-|>", "color": COLORS["reference"], "linewidth": 1}
    ax.annotate("", head + aside, tail + aside, arrowprops=forth | ends)
    if back:
        look = {"arrowstyle": "<|-", "color": COLORS["bn"], "linestyle": "--", "linewidth": 1.2}
        ax.annotate("", head - aside, tail - aside, arrowprops=look | ends)


def batches_on_circle(batches: object, ax: Axes | None = None) -> Axes:
    """Batches of three, centered and then normalized, in the plane of numbers that sum to 0.

    Args:
        batches: one batch of three values a row, (B, 3).
        ax: axes to draw on; a new figure by default.

    Returns:
        The axes: a square at each centered batch, a dot where normalization puts it.

    Example:
        >>> batches_on_circle([[1.0, 2.0, 6.0]]).get_aspect()
        1.0
    """
    ax = _circle(new_axes(ax, figsize=(4.4, 4.0)))
    values = to_numpy(batches).astype(float)  # (B, 3)
    centered = values - values.mean(1, keepdims=True)
    x_hat = centered / centered.std(1, keepdims=True)
    for tail, head in zip(centered @ _PLANE.T, x_hat @ _PLANE.T, strict=True):
        ax.plot(*tail, "s", color=COLORS["other"], markersize=5)
        ax.plot(*head, "o", color=COLORS["bn"], markersize=6)
        ax.annotate("", head, tail, arrowprops=_arrow("reference", 1))
    return ax


def gradient_on_circle(
    x: Sequence[float], grad_output: Sequence[float], ax: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """For a batch of three: what normalization leaves of a gradient.

    Args:
        x: the batch, three values.
        grad_output: the gradient with respect to the output, three values.
        ax: two axes; a new row of two by default.

    Returns:
        The axes: the plane with the gradient split along the circle and across it, and the three
        numbers before and after.

    Example:
        >>> circle, bars = gradient_on_circle([2.0, -1.0, -1.0], [1.0, 0.0, 0.0])
        >>> bars.get_title(loc="left")
        'length 1.00 → 0.00'
    """
    if ax is None:
        widths = {"width_ratios": [1.25, 1]}
        ax = plt.subplots(1, 2, figsize=(7, 3.7), gridspec_kw=widths)[1]
    x, g = to_numpy(x).astype(float), to_numpy(grad_output).astype(float)
    x_hat = (x - x.mean()) / x.std()
    in_plane = g - g.mean()
    kept = in_plane - x_hat * (g * x_hat).mean()
    _split(_circle(ax[0]), *(_PLANE @ v for v in (x_hat, in_plane, kept)))
    _before_after(ax[1], g, kept)
    return ax


def _circle(ax: Axes) -> Axes:
    """The circle of radius sqrt(3), and the direction in which each of the three examples grows."""
    turn = np.linspace(0, 2 * np.pi, 200)
    ax.plot(*(np.sqrt(3) * np.array([np.cos(turn), np.sin(turn)])), color=COLORS["text"], lw=1)
    for i, direction in enumerate(_PLANE.T * np.sqrt(1.5)):  # unit vectors, 120 degrees apart
        ax.plot(*np.outer(direction, [0, 2.4]), ":", color=COLORS["reference"], lw=0.8)
        ax.text(*(2.65 * direction), f"example {i + 1}", ha="center", va="center", fontsize=8)
    ax.plot(0, 0, "+", color=COLORS["text"])
    ax.set(xlim=(-3.1, 3.1), ylim=(-2.9, 2.6), aspect="equal")
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
    ax.set(xticks=place, xticklabels=["ex. 1", "ex. 2", "ex. 3"], ylim=(-2, 3.2))
    ax.set_title(f"length {np.hypot.reduce(g):.2f} → {np.hypot.reduce(kept):.2f}")
    ax.legend(loc="upper right", ncols=2, fontsize=8)


def errors_by_size(
    panels: Mapping[str, Mapping[str, object]],
    sizes: Sequence[int],
    ax: Sequence[Axes] | None = None,
    *,
    xlabel: str = "batch size",
    yscale: str = "log",
) -> Sequence[Axes]:
    """How far several wrong versions are off, against the batch size.

    Args:
        panels: title to a mapping from a version to its errors (sizes, seeds).
        sizes: the batch sizes.
        ax: as many axes as panels; a new row of them on a common scale by default.
        xlabel: label of the horizontal axis.
        yscale: scale of the vertical axis.

    Returns:
        The axes: a line through the means over seeds, a band from smallest to largest.

    Example:
        >>> ax = errors_by_size({"error": {"detached": [[0.5, 0.6], [0.2, 0.3]]}}, [4, 16])
        >>> ax[0].get_title(loc="left")
        'error'
    """
    if ax is None:
        ax = np.atleast_1d(plt.subplots(1, len(panels), figsize=(7, 3.3))[1])
    looks = zip(("plain", "other", "group", "layer"), "svD^", ("-", "--", ":", "-."), strict=True)
    looks = list(looks)
    for axes, (title, versions) in zip(ax, panels.items(), strict=True):
        for (name, errors), (color, marker, line) in zip(versions.items(), looks, strict=False):
            errors = to_numpy(errors).astype(float)  # (sizes, seeds)
            look = {"color": COLORS[color], "marker": marker, "linestyle": line, "label": name}
            axes.plot(sizes, errors.mean(1), **look)
            axes.fill_between(sizes, errors.min(1), errors.max(1), color=COLORS[color], alpha=0.2)
        axes.set(title=title, xlabel=xlabel, xscale="log", yscale=yscale)
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.minorticks_off()
    ax[0].legend(fontsize=8)
    return ax
