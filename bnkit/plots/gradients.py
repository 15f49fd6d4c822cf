"""The backward pass as pictures: its graph, its geometry for three examples, its mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["backward_graph", "batches_on_circle", "errors_by_size", "gradient_on_circle"]

# name: (x, y, value, gradient, step of the backward pass)
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
    x: float, gradient: float, ax: Sequence[Axes] | None = None, *, common: float = 0.0
) -> Sequence[Axes]:
    """For a batch of three: what normalization leaves of a gradient.

    Args:
        x: where the normalized batch stands on the circle, in degrees.
        gradient: where the gradient points in the plane, in degrees.
        ax: two axes; a new row of two by default.
        common: what is added to all three numbers of the gradient.

    Returns:
        The axes: the plane with the gradient split along the circle and across it, and the three
        numbers before and after.

    Example:
        >>> circle, bars = gradient_on_circle(60, 60, common=1.0)
        >>> bars.get_title(loc="left")
        'length 2.17 → 0.00'
    """
    if ax is None:
        widths = {"width_ratios": [1.35, 1]}
        ax = plt.subplots(1, 2, figsize=(7, 3.5), gridspec_kw=widths)[1]
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


def errors_by_size(
    errors: Mapping[str, object],
    sizes: Sequence[int],
    titles: Sequence[str],
    ax: Sequence[Axes] | None = None,
    *,
    yscale: str = "linear",
    sharey: bool = False,
) -> Sequence[Axes]:
    """How far several wrong versions are off, against the batch size, a panel for each measure.

    Args:
        errors: name of a version to its errors (sizes, seeds, panels).
        sizes: the batch sizes.
        titles: what each panel measures.
        ax: as many axes as titles; a new row of them by default.
        yscale: scale of the vertical axes.
        sharey: whether the panels of a new row share their vertical scale.

    Returns:
        The axes: a line through the means over seeds, a band from smallest to largest.

    Example:
        >>> ax = errors_by_size({"detached": [[[0.5], [0.6]], [[0.2], [0.3]]]}, [4, 16], ["error"])
        >>> ax[0].get_title(loc="left")
        'error'
    """
    if ax is None:
        ax = np.atleast_1d(plt.subplots(1, len(titles), figsize=(7, 3.2), sharey=sharey)[1])
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
