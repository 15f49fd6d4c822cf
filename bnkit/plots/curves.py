"""Training over time: curves with a band, and every run's loss to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["learning_curves", "training_losses"]


def learning_curves(
    runs: object,
    ax: Axes | None = None,
    *,
    x: Sequence[float] | None = None,
    xlabel: str = "epoch",
    ylabel: str = "loss",
) -> Axes:
    """Curves over training: the mean of each group's runs, with a band from smallest to largest.

    Args:
        runs: a history with ``train_loss`` and ``val_loss``, or a mapping from a name to one run
            (a list of numbers) or to several runs (one list per seed). Where runs differ in length
            the mean and the band end with the shortest, and each run goes on as a thin line.
        ax: axes to draw on; a new figure by default.
        x: positions of the points; 1, 2, 3 and so on by default.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.

    Returns:
        The axes; every curve is named at its end.

    Example:
        >>> ax = learning_curves({"BN": [[0.5, 0.2], [0.6, 0.3]], "plain": [[0.9, 0.7]]})
        >>> [text.get_text() for text in ax.texts]
        ['BN', 'plain']
    """
    groups = runs if isinstance(runs, Mapping) else _of_history(runs)
    ax = new_axes(ax)
    for i, (name, group) in enumerate(groups.items()):
        _curve(ax, name, _as_runs(group), x, appearance(name, i))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=x is None, steps=[1, 2, 5, 10]))
    ax.margins(x=0.02)
    return ax


def _of_history(history: object) -> dict[str, Sequence[float]]:
    named = {"training": history.train_loss, "validation": history.val_loss}
    return {name: values for name, values in named.items() if len(values)}


def _as_runs(group: object) -> list[np.ndarray]:
    """A list of runs, from one run or several."""
    one = np.ndim(to_numpy(group[0])) == 0
    return [to_numpy(run).astype(float) for run in ([group] if one else group)]


def _curve(ax: Axes, name: str, runs: list[np.ndarray], x: object, look: dict[str, str]) -> None:
    longest, common = max(map(len, runs)), min(map(len, runs))
    steps = np.arange(1, longest + 1) if x is None else to_numpy(x)
    both = np.stack([run[:common] for run in runs])  # (runs, steps)
    line = {"color": look["color"], "linestyle": look["linestyle"]}
    if len(runs) > 1:
        ax.fill_between(
            steps[:common], both.min(0), both.max(0), color=look["color"], alpha=0.2, lw=0
        )
    for run in runs if longest > common else []:
        ax.plot(steps[: len(run)], run, color=look["color"], linewidth=0.7, alpha=0.6)
    ax.plot(steps[:common], both.mean(0), **line)
    last = max(runs, key=len)[-1] if longest > common else both.mean(0)[-1]
    end = (steps[longest - 1], last)
    ax.annotate(
        name, end, xytext=(6, 0), textcoords="offset points", va="center", color=look["color"]
    )


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
