"""Matrices drawn as pictures: mini-batches with their numbers, and digits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from bnkit.plots.style import COLORS, DIVERGING, new_axes, number, to_numpy

__all__ = ["digit_grid", "draw_cells", "name_cells", "step_table"]


def step_table(
    matrix: object,
    ax: Axes | None = None,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str = "",
    fmt: str = "{:.2f}",
    limit: float | None = None,
) -> Axes:
    """A small matrix as a heat map around zero with its numbers printed.

    Args:
        matrix: (N, C), such as a mini-batch of N examples and C features; a vector is one row.
        ax: axes to draw on; a new figure by default.
        rows: names of the rows.
        columns: names of the columns.
        title: what this step shows.
        fmt: how a number is printed.
        limit: value of the strongest color; the largest magnitude by default. Give the same one
            to tables that are compared.

    Returns:
        The axes.

    Example:
        >>> ax = step_table([[1.0, 2.0], [3.0, 4.0]], columns=["x1", "x2"], title="batch")
        >>> [text.get_text() for text in ax.texts]
        ['1.00', '2.00', '3.00', '4.00']
    """
    matrix = np.atleast_2d(to_numpy(matrix).astype(float))  # (N, C)
    limit = limit or np.abs(matrix).max() or 1.0
    size = (0.8 + 0.8 * matrix.shape[1], 0.7 + 0.42 * matrix.shape[0])
    ax = new_axes(ax, figsize=size)
    draw_cells(ax, matrix, DIVERGING, -limit, limit, fmt)
    name_cells(ax, matrix.shape, rows or [], columns or [])
    ax.set_title(title, loc="center")
    return ax


def draw_cells(
    ax: Axes, matrix: np.ndarray, cmap: Colormap, low: float, high: float, fmt: str
) -> None:
    """Filled cells with their numbers, dark on pale and white on strong color."""
    image = ax.imshow(matrix, cmap=cmap, vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(matrix):
        red, green, blue, _ = image.cmap(image.norm(value))
        pale = 0.299 * red + 0.587 * green + 0.114 * blue > 0.52
        color = "#15181d" if pale else "white"
        ax.text(j, i, number(value, fmt), ha="center", va="center", color=color)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def name_cells(ax: Axes, shape: tuple[int, int], rows: Sequence, columns: Sequence) -> None:
    """Labels of the rows and columns."""
    ax.set(yticks=range(len(rows)), yticklabels=rows, xticks=range(len(columns)))
    ax.set_xticklabels(columns)
    ax.set_xticks(np.arange(1, shape[1]) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, shape[0]) - 0.5, minor=True)
    ax.tick_params(which="minor", length=0)
    ax.grid(which="minor", color=COLORS["text"], linewidth=0.6, alpha=0.5)


def digit_grid(
    images: object,
    titles: Sequence[object] | None = None,
    ax: Sequence[Axes] | None = None,
    *,
    columns: int = 8,
) -> Sequence[Axes]:
    """Digits in a grid, each with a short title.

    Args:
        images: (N, 28, 28), (N, 1, 28, 28) or (N, 784).
        titles: one per image, such as labels or predictions.
        ax: at least N axes; a new grid by default.
        columns: images in a row.

    Returns:
        The axes that hold a digit.

    Example:
        >>> import numpy as np
        >>> len(digit_grid(np.zeros((3, 784)), titles=[7, 2, 1]))
        3
    """
    images = to_numpy(images)
    side = math.isqrt(images[0].size)
    images = images.reshape(len(images), side, side)  # (N, H, W)
    if ax is None:
        columns = min(columns, len(images))
        rows = -(-len(images) // columns)
        size = (0.85 * columns, (1.15 if titles is not None else 0.9) * rows)
        ax = plt.subplots(rows, columns, figsize=size, squeeze=False)[1].ravel()
    for axes in ax:
        axes.set_axis_off()
    for i, (axes, image) in enumerate(zip(ax, images, strict=False)):
        axes.imshow(image, cmap="gray")
        axes.set_title("" if titles is None else str(titles[i]), fontsize=9, loc="center")
    return ax[: len(images)]
