"""Which entries of a tensor share a mean: a block of cubes, and the table of its numbers."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from bnkit.plots.style import COLORS, new_axes, number, to_numpy

__all__ = ["sharing", "sharing_table"]

_HUES = [COLORS[k] for k in ("bn", "other", "layer", "group", "sky", "plain", "reference")]
_HUES.append("#F0E442")  # eight sets at most are shown, each in a color of its own
_INK = "#15181d"


def sharing(values: object, groups: object, title: str = "", fmt: str = "{:.2f}") -> Figure:
    """Block and table side by side: the entries that share a mean have one color and letter.

    Args:
        values: the numbers of the table, of shape (N, C, L).
        groups: integers of the same shape; entries with one integer share a mean.
        title: above the table.
        fmt: how a number is written.

    Returns:
        The figure.

    Example:
        >>> import torch
        >>> channel = torch.arange(4).view(1, 4, 1).expand(2, 4, 3)
        >>> len(sharing(torch.zeros(2, 4, 3), channel).axes)
        2
    """
    widths = {"width_ratios": [1, 2.6]}
    figure, (block, table) = plt.subplots(1, 2, figsize=(7.6, 2.5), gridspec_kw=widths)
    _sharing_block(groups, block)
    sharing_table(values, groups, table, title=title, fmt=fmt)
    return figure


def sharing_table(
    values: object,
    groups: object,
    ax: Axes | None = None,
    *,
    title: str = "",
    fmt: str = "{:.2f}",
) -> Axes:
    """The numbers of an (N, C, L) tensor: a line of L numbers for each example's channel.

    Args:
        values: the numbers, of shape (N, C, L).
        groups: integers of the same shape; entries with one integer get one color and letter.
        ax: axes to draw on; a new figure by default.
        title: above the table.
        fmt: how a number is written.

    Returns:
        The axes.

    Raises:
        ValueError: the two shapes differ.

    Example:
        >>> import torch
        >>> ax = sharing_table(torch.zeros(2, 4, 3), torch.zeros(2, 4, 3, dtype=int))
        >>> len(ax.patches)
        24
    """
    values, groups = to_numpy(values).astype(float), to_numpy(groups)
    if values.shape != groups.shape:
        raise ValueError(f"got values {values.shape} and groups {groups.shape}, expected one shape")
    n, c, positions = values.shape
    ax = new_axes(ax, figsize=(1 + 0.75 * n * positions, 0.6 + 0.5 * c))
    for (i, j, k), value in np.ndenumerate(values):
        x, group = i * (positions + 0.4) + k, int(groups[i, j, k])
        corners = [(x, j), (x + 1, j), (x + 1, j + 1), (x, j + 1)]
        ax.add_patch(Polygon(corners, facecolor=_tint(group), edgecolor=COLORS["text"], lw=0.6))
        ax.text(x + 0.54, j + 0.55, number(value, fmt), ha="center", va="center", color=_INK)
        ax.text(x + 0.06, j + 0.3, _letter(group), fontsize=7.5, color=_INK)
    ax.set(xlim=(-0.05, n * (positions + 0.4) - 0.35), ylim=(c + 0.05, -0.05), title=title)
    centers = [i * (positions + 0.4) + positions / 2 for i in range(n)]
    ax.set_xticks(centers, [f"example {i + 1}" for i in range(n)])
    ax.set_yticks(np.arange(c) + 0.5, [f"channel {j + 1}" for j in range(c)])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def _sharing_block(groups: object, ax: Axes | None = None) -> Axes:
    """An (N, C, L) tensor as a block of cubes, seen from above its front right corner."""
    groups = to_numpy(groups)
    n, c, positions = groups.shape
    ax = new_axes(ax, figsize=(2.6, 2.4))
    for i in range(n):
        for j in range(c):
            _face(ax, [(j, i, 0), (j + 1, i, 0), (j + 1, i + 1, 0), (j, i + 1, 0)], groups[i, j, 0])
        for k in range(positions):
            right = [(c, i, k), (c, i + 1, k), (c, i + 1, k + 1), (c, i, k + 1)]
            _face(ax, right, groups[i, -1, k])
    for j in range(c):
        for k in range(positions):
            front = [(j, 0, k), (j + 1, 0, k), (j + 1, 0, k + 1), (j, 0, k + 1)]
            _face(ax, front, groups[0, j, k])
    _name_sides(ax, n, c, positions)
    return ax


def _name_sides(ax: Axes, n: int, c: int, positions: int) -> None:
    ax.text(*_project(c / 2, 0, positions + 0.35), "C", ha="center", va="top")
    ax.text(*_project(-0.35, 0, positions / 2), "L", ha="right", va="center")
    ax.text(*_project(-0.3, n / 2, 0), "N", ha="right", va="bottom")
    ax.set(aspect="equal", xlim=(-0.9, c + 0.6 * n + 0.1), ylim=(-positions - 1, 0.5 * n + 0.1))
    ax.set_axis_off()


def _project(right: float, back: float, down: float) -> tuple[float, float]:
    return right + 0.6 * back, 0.5 * back - down


def _face(ax: Axes, corners: list[tuple[float, float, float]], group: int) -> None:
    flat = np.array([_project(*corner) for corner in corners])
    ax.add_patch(Polygon(flat, facecolor=_tint(int(group)), edgecolor="#5b5f67", lw=0.8))
    x, y = flat.mean(0)
    ax.text(x, y, _letter(int(group)), ha="center", va="center", fontsize=7.5, color=_INK)


def _tint(group: int) -> tuple[float, ...]:
    """A pale color on which dark numbers are legible."""
    return tuple(0.45 * part + 0.55 for part in to_rgb(_HUES[group % len(_HUES)]))


def _letter(group: int) -> str:
    return chr(ord("a") + group % 26)
