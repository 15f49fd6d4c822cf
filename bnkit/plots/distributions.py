"""How values are spread: activations, and results over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bnkit.plots.style import COLORS, appearance, new_axes, number, to_numpy

__all__ = ["dots_with_spread", "histogram", "measures_with_spread"]


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
