"""Results over learning rates, and where a unit's input wanders during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["over_rates", "quantile_drift"]


def over_rates(
    groups: Mapping[str, object],
    rates: Sequence[float],
    ax: Axes | None = None,
    *,
    xlabel: str = "learning rate",
    ylabel: str = "accuracy (%)",
) -> Axes:
    """Results over learning rates: the mean over seeds as a line, every run as a dot.

    Args:
        groups: name to results of shape (rates, seeds).
        rates: the learning rates, positive and rising; the axis is logarithmic.
        ax: axes to draw on; a new figure by default.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.

    Returns:
        The axes, with a legend.

    Raises:
        ValueError: a group does not have one row per rate.

    Example:
        >>> ax = over_rates({"BN": [[80, 82], [91, 92]], "plain": [[79, 70], [10, 10]]}, [0.1, 1.0])
        >>> ax.get_xscale()
        'log'
    """
    ax = new_axes(ax)
    for i, (name, group) in enumerate(groups.items()):
        results, look = to_numpy(group).astype(float), appearance(name, i)
        if results.ndim != 2 or len(results) != len(rates):
            raise ValueError(
                f"group {name!r} got shape {results.shape}, expected ({len(rates)}, seeds)"
            )
        ax.plot(rates, results, look["marker"], color=look["color"], alpha=0.4, markersize=3.5)
        ax.plot(rates, results.mean(1), label=name, **look)
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="best")
    return ax


def quantile_drift(
    quantiles: object,
    ax: Axes | None = None,
    *,
    x: Sequence[float] | None = None,
    color: str = COLORS["bn"],
    labels: Sequence[str] = ("15 %", "50 %", "85 %"),
    ylabel: str = "input of the unit",
) -> Axes:
    """Three quantiles of a unit's input over training; the middle one is drawn strong.

    Args:
        quantiles: lower, middle and upper quantile at each time, (times, 3).
        ax: axes to draw on; a new figure by default.
        x: steps of training; 0, 1, 2 and so on by default.
        color: color of the lines and of the band between them.
        labels: names of the three, written at their ends.
        ylabel: label of the vertical axis.

    Returns:
        The axes.

    Example:
        >>> ax = quantile_drift([[-1.0, 0.0, 1.0], [-0.5, 0.2, 1.1]])
        >>> [text.get_text() for text in ax.texts]
        ['15 %', '50 %', '85 %']
    """
    bands = to_numpy(quantiles).astype(float)  # (times, 3)
    ax = new_axes(ax)
    x = np.arange(len(bands)) if x is None else to_numpy(x)
    ax.fill_between(x, bands[:, 0], bands[:, 2], color=color, alpha=0.15, lw=0)
    looks = (("--", 1.2), ("-", 2.0), (":", 1.6))
    for band, label, (line, width) in zip(bands.T, labels, looks, strict=True):
        ax.plot(x, band, line, color=color, linewidth=width)
        place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(label, (x[-1], band[-1]), color=color, fontsize=9, **place)
    ax.set(xlabel="step", ylabel=ylabel)
    ax.margins(x=0.02)
    return ax
