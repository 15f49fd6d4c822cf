"""Gradient descent on a quadratic."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bnkit.plots.style import COLORS, new_axes, to_numpy

__all__ = ["descent_path"]


def descent_path(
    hessian: object,
    path: object,
    ax: Axes | None = None,
    *,
    span: tuple[float, float] = (2.2, 1.5),
    levels: int = 5,
) -> Axes:
    """The steps of an optimizer over the contour lines of ``e.T @ hessian @ e / 2``.

    Args:
        hessian: symmetric, positive definite (2, 2).
        path: distances from the minimum after each step (n, 2), from the square to the circle.
        ax: axes to draw on; a new figure by default.
        span: half the width and half the height that are shown; the path may leave them.
        levels: number of contour lines, evenly spaced along any ray.

    Returns:
        The axes, with the same scale in both directions.

    Example:
        >>> descent_path([[1.0, 0.0], [0.0, 4.0]], [[-2.0, 1.0], [0.0, 0.0]]).get_xlabel()
        'error of weight 1'
    """
    hessian, path = to_numpy(hessian).astype(float), to_numpy(path).astype(float)
    ax = new_axes(ax, figsize=(4.8, 3.5))
    x, y = np.linspace(-span[0], span[0], 61), np.linspace(-span[1], span[1], 61)
    points = np.stack(np.meshgrid(x, y), axis=-1)  # (y, x, 2)
    loss = 0.5 * np.einsum("yxi,ij,yxj->yx", points, hessian, points)
    radii = np.linspace(0, 1, levels + 1)[1:]
    ax.contour(x, y, loss, levels=loss.max() * radii**2, colors=COLORS["reference"], linewidths=0.8)
    far = np.abs(path).max(axis=1) > 20 * max(span)
    seen = path[: far.argmax() + 1] if far.any() else path  # ends where it has left the picture
    ax.plot(*seen.T, color=COLORS["plain"], marker=".", linewidth=1.2)
    ax.plot(*seen[0], "s", color=COLORS["plain"])
    ax.plot(*seen[-1], "o", color=COLORS["plain"])
    ax.plot(0, 0, "+", color=COLORS["text"], markersize=10)
    ax.set(xlim=(-span[0], span[0]), ylim=(-span[1], span[1]), aspect="equal")
    ax.set(xlabel="error of weight 1", ylabel="error of weight 2")
    return ax
