"""How values are spread: activations, and results over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bnkit.plots.style import COLORS, appearance, new_axes, number, to_numpy

__all__ = [
    "dots_with_spread",
    "histogram",
    "layer_histograms",
    "measures_with_spread",
    "paired_dots",
]


def histogram(
    values: object,
    ax: Axes | None = None,
    *,
    bins: int = 40,
    span: tuple[float, float] | None = None,
    color: str = COLORS["bn"],
    label: str | None = None,
    xlabel: str = "value",
    show_mean: bool = True,
) -> Axes:
    """Histogram of all entries of ``values`` as a density, with its mean marked.

    Args:
        values: tensor, array or list of any shape.
        ax: axes to draw on; a new figure by default.
        bins: number of bins.
        span: smallest and largest value shown; values beyond are counted in the outermost bins.
        color: fill color.
        label: name for the legend.
        xlabel: label of the horizontal axis.
        show_mean: whether to mark the mean and print mean and standard deviation.

    Returns:
        The axes.

    Example:
        >>> histogram([1.0, 2.0, 2.0, 3.0], xlabel="activation").get_xlabel()
        'activation'
    """
    flat = to_numpy(values).astype(float).ravel()
    ax = new_axes(ax)
    shown = flat if span is None else flat.clip(*span)
    density, edges = np.histogram(shown, bins=bins, range=span, density=True)
    ax.stairs(density, edges, fill=True, color=color, alpha=0.75, label=label)
    if show_mean:
        ax.axvline(flat.mean(), color=COLORS["reference"], linestyle="--", linewidth=1)
        note = f"mean {number(flat.mean())}\nstd {number(flat.std())}"
        ax.text(0.98, 0.96, note, transform=ax.transAxes, ha="right", va="top", fontsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set(xlabel=xlabel, yticks=[])
    ax.spines["left"].set_visible(False)
    return ax


def layer_histograms(
    activations: Sequence[object],
    ax: Sequence[Axes] | None = None,
    *,
    names: Sequence[str] | None = None,
    span: tuple[float, float] = (-3, 3),
    bins: int = 40,
    color: str = COLORS["bn"],
) -> Sequence[Axes]:
    """One small histogram per layer, side by side on the same scale.

    Args:
        activations: one tensor per layer, of any shapes.
        ax: as many axes as layers; a new row of them by default.
        names: titles, ``"layer 1"`` and so on by default.
        span: smallest and largest value shown.
        bins: number of bins.
        color: fill color.

    Returns:
        The axes, one per layer.

    Example:
        >>> len(layer_histograms([[0.0, 1.0], [0.5, -0.5]]))
        2
    """
    count = len(activations)
    if ax is None:
        size = (max(1.5 * count, 3.0), 2.0)
        ax = np.atleast_1d(plt.subplots(1, count, figsize=size, sharex=True)[1])
    for i, (values, axes) in enumerate(zip(activations, ax, strict=True)):
        histogram(values, axes, bins=bins, span=span, color=color, xlabel="", show_mean=False)
        std = to_numpy(values).astype(float).std()
        axes.set_title(names[i] if names else f"layer {i + 1}", fontsize=9, loc="center")
        axes.set_xlabel(f"std {std:.2g}", fontsize=9)
        axes.set_xticks([span[0], 0, span[1]] if span[0] < 0 < span[1] else span)
    return ax


def dots_with_spread(
    groups: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    xlabel: str = "",
    fmt: str = "{:.1f}",
) -> Axes:
    """Every run as a dot, every group's mean as a bar through its dots, with the number.

    Args:
        groups: name to one result per seed.
        ax: axes to draw on; a new figure by default.
        xlabel: what is measured.
        fmt: how a mean is printed.

    Returns:
        The axes, the first group on top.

    Example:
        >>> ax = dots_with_spread({"BN": [97.5, 97.7], "plain": [97.4, 97.6]}, xlabel="accuracy")
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['BN', 'plain']
    """
    ax = new_axes(ax, figsize=(7, 0.9 + 0.5 * len(groups)))
    for i, (name, results) in enumerate(groups.items()):
        look, results = appearance(name, i), to_numpy(results).astype(float)
        ax.plot(results, [i] * len(results), look["marker"], color=look["color"], alpha=0.6)
        ax.plot([results.mean()] * 2, [i - 0.28, i + 0.28], color=look["color"])
        note = fmt.format(results.mean())
        ax.annotate(note, (results.mean(), i - 0.3), ha="center", va="bottom", fontsize=9)
    ax.set(yticks=range(len(groups)), yticklabels=list(groups), xlabel=xlabel)
    ax.set_ylim(len(groups) - 0.5, -0.8)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def measures_with_spread(
    runs: Mapping[str, Sequence[Mapping[str, float]]], labels: Mapping[str, str]
) -> Sequence[Axes]:
    """Several measures of the same runs side by side: dots and means, a row for each group.

    Args:
        runs: name of a group to its runs, each a mapping from a measure to its number.
        labels: the measures to show, each with the label of its axis.

    Returns:
        One axes per measure, in a new figure.

    Example:
        >>> runs = {"BN": [{"loss": 0.3}, {"loss": 0.4}], "plain": [{"loss": 0.5}, {"loss": 0.6}]}
        >>> [ax.get_xlabel() for ax in measures_with_spread(runs, {"loss": "test loss"})]
        ['test loss']
    """
    size = (7.6, 0.9 + 0.46 * len(runs))
    panels = np.atleast_1d(plt.subplots(1, len(labels), figsize=size, sharey=True)[1])
    for ax, (key, label) in zip(panels, labels.items(), strict=True):
        groups = {name: [run[key] for run in group] for name, group in runs.items()}
        large = max(map(max, groups.values())) >= 10
        dots_with_spread(groups, ax, xlabel=label, fmt="{:.1f}" if large else "{:.2f}")
        ax.xaxis.set_major_locator(MaxNLocator(5))
    return panels


def paired_dots(
    before: Sequence[float],
    after: Sequence[float],
    ax: Axes | None = None,
    *,
    names: tuple[str, str] = ("plain", "BN"),
    ylabel: str = "",
) -> Axes:
    """Runs that share a seed, joined by a line: does the change help each of them?

    Args:
        before: one result per seed without the change.
        after: one result per seed with it, in the same order.
        ax: axes to draw on; a new figure by default.
        names: what the two sides are called.
        ylabel: what is measured.

    Returns:
        The axes; the title gives the mean difference and its standard error.

    Raises:
        ValueError: the two sides differ in length.

    Example:
        >>> paired_dots([1.0, 2.0], [2.0, 3.5]).get_title(loc="left")
        'mean difference +1.25 ± 0.25'
    """
    before, after = to_numpy(before).astype(float), to_numpy(after).astype(float)
    if before.shape != after.shape:
        raise ValueError(f"got {before.size} and {after.size} results, expected one pair per seed")
    ax = new_axes(ax, figsize=(4, 3.2))
    ax.plot([0, 1], [before, after], color=COLORS["reference"], linewidth=1)
    for x, (name, results) in enumerate(zip(names, (before, after), strict=True)):
        look = appearance(name, x)
        ax.plot([x] * len(results), results, look["marker"], color=look["color"])
    gain = after - before
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else float("nan")
    ax.set(xticks=[0, 1], xticklabels=names, xlim=(-0.4, 1.4), ylabel=ylabel)
    ax.set_title(f"mean difference {gain.mean():+.2f} ± {error:.2f}")
    return ax
