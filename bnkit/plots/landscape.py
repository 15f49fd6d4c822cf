"""The loss along the gradient, and the size of gradients from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["along_the_gradient", "gradient_by_layer"]


def along_the_gradient(
    losses: Mapping[str, object],
    changes: Mapping[str, object],
    reaches: Sequence[float],
    ax: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """The loss, and the relative change of the gradient, as a step along the gradient grows.

    Args:
        losses: name to losses of shape (reaches, runs).
        changes: the same names to relative changes of the gradient of that shape.
        reaches: lengths of the step, in learning rates.
        ax: two axes; a new row of two by default.

    Returns:
        The axes: losses, changes. A band spans the runs, a line is their mean.

    Raises:
        ValueError: a group does not have one row per reach.

    Example:
        >>> left, right = along_the_gradient({"BN": [[1, 1], [0, 1]]}, {"BN": [[0, 0], [1, 2]]},
        ...                                  [0, 1])
        >>> left.lines[0].get_ydata().tolist()
        [1.0, 0.5]
    """
    left, right = plt.subplots(1, 2, figsize=(7.4, 3.0))[1] if ax is None else ax
    for axes, groups in ((left, losses), (right, changes)):
        for i, (name, group) in enumerate(groups.items()):
            runs, look = to_numpy(group).astype(float), appearance(name, i)
            if runs.ndim != 2 or len(runs) != len(reaches):
                raise ValueError(
                    f"group {name!r} got shape {runs.shape}, expected ({len(reaches)}, runs)"
                )
            axes.fill_between(
                reaches, runs.min(1), runs.max(1), color=look["color"], alpha=0.2, linewidth=0
            )
            axes.plot(reaches, runs.mean(1), label=name, **look)
        axes.set_xlabel("step along the gradient (learning rates)")
    left.set_ylabel("loss")
    right.set_ylabel("relative change of the gradient")
    left.legend()
    return left, right


def gradient_by_layer(
    squares: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    growth: float | None = None,
    ylim: tuple[float, float] | None = None,
    title: str = "",
) -> Axes:
    """Squared gradient norm of each layer, on a logarithmic axis, with a theory's slope.

    Args:
        squares: name to squared norms, from the first layer to the last.
        ax: axes to draw on; a new figure by default.
        growth: factor per layer, towards the input, that theory predicts; its line passes through
            the last point of the first series.
        ylim: limits of the vertical axis.
        title: title of the axes.

    Returns:
        The axes.

    Example:
        >>> ax = gradient_by_layer({"BN": [4.0, 2.0, 1.0]}, growth=2.0)
        >>> ax.lines[-1].get_ydata().tolist()
        [4.0, 2.0, 1.0]
    """
    ax = new_axes(ax)
    for i, (name, series) in enumerate(squares.items()):
        look = appearance(name, i) | {"markersize": 4}
        ax.plot(range(1, len(series) + 1), to_numpy(series), label=name, **look)
    if growth:
        first = to_numpy(next(iter(squares.values())))
        depth = np.arange(1, len(first) + 1)
        line = first[-1] * growth ** (len(first) - depth.astype(float))
        ax.plot(depth, line, ":", color=COLORS["reference"], linewidth=2.5, label="theory")
    ax.set(yscale="log", xlabel="layer", ylabel="squared gradient norm", title=title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if ylim:
        ax.set_ylim(*ylim)
    ax.legend()
    return ax
