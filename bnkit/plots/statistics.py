"""Means and variances of features: of one batch, and running over many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bnkit.plots.style import COLORS, new_axes, to_numpy

__all__ = ["feature_spread", "noise_by_size", "running_statistics"]


def feature_spread(
    groups: Mapping[str, object],
    ax: Sequence[Axes] | None = None,
    *,
    xlabel: str = "hidden unit, sorted by mean",
) -> Sequence[Axes]:
    """Mean and standard deviation of every feature, a panel for each batch.

    Args:
        groups: name to a batch (N, C).
        ax: as many axes as groups; a new row of them on a common scale by default.
        xlabel: label of the horizontal axis.

    Returns:
        The axes: a dot at each feature's mean, a bar of one standard deviation to either side.

    Example:
        >>> axes = feature_spread({"before": [[1.0, 2.0], [3.0, 6.0]]})
        >>> axes[0].get_title(loc="left")
        'before'
    """
    if ax is None:
        ax = np.atleast_1d(plt.subplots(1, len(groups), figsize=(7, 2.8), sharey=True)[1])
    for axes, (name, batch) in zip(ax, groups.items(), strict=True):
        values = to_numpy(batch).astype(float)  # (N, C)
        order = values.mean(axis=0).argsort()
        mean, std = values.mean(axis=0)[order], values.std(axis=0)[order]  # (C,), (C,)
        axes.vlines(range(len(mean)), mean - std, mean + std, color=COLORS["bn"], alpha=0.35)
        axes.plot(mean, ".", color=COLORS["plain"], markersize=3)
        axes.axhline(0, color=COLORS["reference"], linewidth=0.8)
        axes.set(title=name, xlabel=xlabel)
    ax[0].set_ylabel("mean ± standard deviation")
    return ax


def running_statistics(
    mean: Sequence[float],
    var: Sequence[float],
    ax: Sequence[Axes] | None = None,
    *,
    true_mean: float,
    true_var: float,
) -> Sequence[Axes]:
    """Running mean and running variance over the batches, against the truth.

    Args:
        mean: running mean after each batch.
        var: running variance after each batch.
        ax: two axes; a new row of two by default.
        true_mean: mean of the population, drawn dashed.
        true_var: variance of the population, drawn dashed.

    Returns:
        The two axes.

    Example:
        >>> axes = running_statistics([0.2, 0.4], [1.8, 2.5], true_mean=2, true_var=9)
        >>> axes[1].get_title(loc="left")
        'running variance'
    """
    if ax is None:
        ax = plt.subplots(1, 2, figsize=(7, 2.6))[1]
    panels = {"running mean": (mean, true_mean), "running variance": (var, true_var)}
    for axes, (title, (path, truth)) in zip(ax, panels.items(), strict=True):
        axes.plot(range(1, len(path) + 1), path, color=COLORS["bn"])
        axes.axhline(truth, color=COLORS["reference"], linestyle="--")
        axes.set(title=title, xlabel="batches seen", ylim=(min(0.0, *path), 2 * truth))
    return ax


def noise_by_size(
    measured: Mapping[str, Sequence[float]],
    formula: Mapping[str, Sequence[float]],
    sizes: Sequence[int],
    ax: Axes | None = None,
) -> Axes:
    """Noise of batch statistics over the batch size: dots measured, lines by formula.

    Args:
        measured: name of a statistic to its standard deviation at each size.
        formula: the same by formula.
        sizes: the batch sizes; both axes are logarithmic, so a noise of zero is not shown.
        ax: axes to draw on; a new figure by default.

    Returns:
        The axes, with a legend.

    Example:
        >>> noise_by_size({"mean": [0.7, 0.51]}, {"mean": [0.71, 0.5]}, [2, 4]).get_yscale()
        'log'
    """
    ax, sizes = new_axes(ax), to_numpy(sizes)
    looks = ((COLORS["bn"], "-", "o"), (COLORS["other"], "--", "v"))
    for (name, noise), (color, line, marker) in zip(measured.items(), looks, strict=False):
        noise, exact = to_numpy(noise), to_numpy(formula[name])
        shown = exact > 0
        ax.plot(sizes[shown], exact[shown], line, color=color)
        ax.plot(sizes[shown], noise[shown], marker, color=color, label=name)
    ax.set(xscale="log", yscale="log", xlabel="batch size", ylabel="standard deviation")
    ax.set_xticks(sizes[::2], [str(size) for size in sizes[::2]])
    ax.minorticks_off()
    ax.legend()
    return ax
