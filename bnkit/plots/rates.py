"""Training at many learning rates, and where a unit's input wanders meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bnkit.plots.curves import learning_curves
from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["learning_panels", "over_rates", "quantile_drift", "training_losses"]


def learning_panels(
    panels: Mapping[str, Mapping[str, object]],
    ax: Sequence[Axes] | None = None,
    *,
    x: Sequence[float] | None = None,
    xlabel: str = "step",
    ylabel: str = "accuracy (%)",
    ylim: tuple[float, float] = (0, 100),
) -> Sequence[Axes]:
    """Learning curves side by side on one scale, one panel per setting.

    Args:
        panels: title to the runs of that panel, as :func:`learning_curves` takes them.
        ax: as many axes as panels; a new row of them by default.
        x: positions of the points; 1, 2, 3 and so on by default.
        xlabel: label of each horizontal axis.
        ylabel: label of the vertical axis.
        ylim: smallest and largest value shown.

    Returns:
        The axes, one per panel.

    Example:
        >>> len(learning_panels({"lr 0.1": {"BN": [50, 90]}, "lr 1": {"BN": [60, 95]}}))
        2
    """
    if ax is None:
        size = (max(1.9 * len(panels), 3.0), 2.7)
        ax = np.atleast_1d(plt.subplots(1, len(panels), figsize=size, sharey=True)[1])
    for axes, (title, runs) in zip(ax, panels.items(), strict=True):
        learning_curves(runs, axes, x=x, xlabel=xlabel, ylabel="")
        axes.set(title=title, ylim=ylim)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax[0].set_ylabel(ylabel)
    return ax


def training_losses(
    groups: Mapping[str, Sequence[Sequence[float]]],
    ax: Axes | None = None,
    *,
    width: int = 5,
    top: float = 4.0,
    guess: float | None = None,
) -> Axes:
    """The loss of every run, averaged over a few steps; a cross marks where one ends in ``nan``.

    Args:
        groups: name to one list of losses per seed.
        ax: axes to draw on; a new figure by default.
        width: number of steps that one point averages.
        top: largest loss shown; larger ones are drawn at the upper edge.
        guess: loss of guessing, drawn as a dotted line.

    Returns:
        The axes.

    Example:
        >>> ax = training_losses({"BN": [[2.3, 1.0]], "plain": [[2.3, float("nan")]]}, width=1)
        >>> ax.get_ylabel()
        'training loss'
    """
    ax, longest = new_axes(ax), 0
    for i, (name, runs) in enumerate(groups.items()):
        look = appearance(name, i)
        for run in runs:
            losses = to_numpy(run).astype(float)
            means = losses[: len(losses) // width * width].reshape(-1, width).mean(1).clip(max=top)
            steps = width * np.arange(1, len(means) + 1)
            known = np.isfinite(means)
            ax.plot(steps[known], means[known], look["linestyle"], color=look["color"], lw=1.2)
            if not known.all():
                end = (steps[known][-1], means[known][-1]) if known.any() else (0, top)
                ax.plot(*end, "x", color=look["color"], markersize=8, clip_on=False)
            longest = max(longest, steps[-1])
        ax.plot([], [], look["linestyle"], color=look["color"], label=name)
    if guess is not None:
        ax.axhline(guess, color=COLORS["reference"], linestyle=":")
        ax.annotate(
            "guessing", (0, guess), (4, 0), textcoords="offset points", va="bottom", fontsize=9
        )
    ax.set(xlim=(0, longest), ylim=(0, top), xlabel="step", ylabel="training loss")
    ax.legend(loc="upper right")
    return ax


def over_rates(
    groups: Mapping[str, object],
    rates: Sequence[float],
    ax: Axes | None = None,
    *,
    xlabel: str = "learning rate",
    ylabel: str = "accuracy (%)",
    tick_each: bool = False,
) -> Axes:
    """Results over learning rates: the mean over seeds as a line, every run as a dot.

    Args:
        groups: name to results of shape (rates, seeds).
        rates: the learning rates, positive and rising; the axis is logarithmic.
        ax: axes to draw on; a new figure by default.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.
        tick_each: whether to name each of the rates at the axis, where they are few.

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
    if tick_each:
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.minorticks_off()
    ax.legend(loc="best")
    return ax


def quantile_drift(
    groups: Mapping[str, object],
    ax: Sequence[Axes] | None = None,
    *,
    x: Sequence[float] | None = None,
    labels: Sequence[str] = ("15 %", "50 %", "85 %"),
    ylabel: str = "input of the unit",
) -> Axes:
    """Three quantiles of a unit's input over training, one panel per network, on one scale.

    Args:
        groups: name to the lower, middle and upper quantile at each time, (times, 3).
        ax: as many axes as groups; a new row of them by default.
        x: steps of training; 0, 1, 2 and so on by default.
        labels: names of the three, written at their ends.
        ylabel: label of the vertical axis.

    Returns:
        The axes, one per network.

    Example:
        >>> axes = quantile_drift({"BN": [[-1.0, 0.0, 1.0], [-0.5, 0.2, 1.1]]})
        >>> [text.get_text() for text in axes[0].texts]
        ['15 %', '50 %', '85 %']
    """
    if ax is None:
        size = (max(3.7 * len(groups), 4.0), 3.0)
        ax = np.atleast_1d(plt.subplots(1, len(groups), figsize=size, sharey=True)[1])
    for i, (axes, (name, quantiles)) in enumerate(zip(ax, groups.items(), strict=True)):
        _bands(axes, to_numpy(quantiles).astype(float), x, appearance(name, i)["color"], labels)
        axes.set_title(name)
    ax[0].set_ylabel(ylabel)
    return ax


def _bands(ax: Axes, bands: np.ndarray, x: object, color: str, labels: Sequence[str]) -> None:
    x = np.arange(len(bands)) if x is None else to_numpy(x)
    ax.fill_between(x, bands[:, 0], bands[:, 2], color=color, alpha=0.15, lw=0)
    looks = (("--", 1.2), ("-", 2.0), (":", 1.6))
    for band, label, (line, width) in zip(bands.T, labels, looks, strict=True):
        ax.plot(x, band, line, color=color, linewidth=width)
        place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(label, (x[-1], band[-1]), color=color, fontsize=9, **place)
    ax.set_xlabel("step")
    ax.margins(x=0.02)
