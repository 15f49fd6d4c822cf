"""Training over time, where it stops, and the loss around a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["learning_curves", "loss_surface_contours", "stopping_point"]


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


def stopping_point(
    val_loss: Sequence[float],
    ax: Axes | None = None,
    *,
    kept: int,
    stopped: int | None = None,
    train_loss: Sequence[float] | None = None,
) -> Axes:
    """A validation curve with the epoch that early stopping keeps and the one where it stops.

    Args:
        val_loss: validation loss after each epoch, with those that the stop spares, if known.
        ax: axes to draw on; a new figure by default.
        kept: epoch, counted from 1, whose weights are kept.
        stopped: epoch after which training stops; ``None`` if it never does.
        train_loss: optional training loss of each epoch.

    Returns:
        The axes; epochs after the stop are drawn faint.

    Example:
        >>> stopping_point([0.5, 0.4, 0.45, 0.42], kept=2, stopped=4).get_title(loc="left")
        'keeps epoch 2 (loss 0.400), stops after epoch 4'
    """
    ax = new_axes(ax)
    last = stopped or len(val_loss)
    curves = {"validation": (to_numpy(val_loss), COLORS["bn"], "-")}
    if train_loss is not None:
        curves["training"] = (to_numpy(train_loss), COLORS["other"], "--")
    for name, (losses, color, line) in curves.items():
        epochs = np.arange(1, len(losses) + 1)
        ax.plot(epochs, losses, line, color=color, alpha=0.4, linewidth=1.2)
        ax.plot(epochs[:last], losses[:last], line, color=color, marker=".")
        end = (epochs[-1], losses[-1])
        place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(name, end, color=color, **place)
    ax.plot(kept, val_loss[kept - 1], "o", markersize=12, fillstyle="none", color=COLORS["text"])
    title = f"keeps epoch {kept} (loss {val_loss[kept - 1]:.3f}), "
    if stopped:
        ax.axvline(stopped, color=COLORS["reference"], linestyle=":")
    ax.set_title(
        title + (f"stops after epoch {stopped}" if stopped else f"no stop within {last} epochs")
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel="loss")
    return ax


def loss_surface_contours(
    losses: object,
    ax: Axes | None = None,
    *,
    x: Sequence[float] | None = None,
    y: Sequence[float] | None = None,
    path: object = None,
    xlabel: str = "direction 1",
    ylabel: str = "direction 2",
    levels: int = 12,
) -> Axes:
    """Contour lines of a loss over two directions in parameter space, with a path over them.

    Args:
        losses: matrix (len(y), len(x)).
        ax: axes to draw on; a new figure by default.
        x: positions along the first direction, -1 to 1 by default.
        y: positions along the second direction, -1 to 1 by default.
        path: optional steps (n, 2) of an optimizer, from the square to the circle.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.
        levels: number of contour lines.

    Returns:
        The axes.

    Example:
        >>> loss_surface_contours([[2.0, 1.0], [1.0, 0.0]], path=[[-1, -1], [1, 1]]).get_xlabel()
        'direction 1'
    """
    losses = to_numpy(losses).astype(float)  # (len(y), len(x))
    x = np.linspace(-1, 1, losses.shape[1]) if x is None else to_numpy(x)
    y = np.linspace(-1, 1, losses.shape[0]) if y is None else to_numpy(y)
    ax = new_axes(ax, figsize=(4.4, 3.6))
    lines = ax.contour(x, y, losses, levels=levels, cmap="viridis", linewidths=1.2)
    ax.clabel(lines, lines.levels[1::3], fontsize=8, colors=COLORS["text"])
    if path is not None:
        steps = to_numpy(path).astype(float)
        ax.plot(*steps.T, color=COLORS["plain"], marker=".", linewidth=1.2)
        ax.plot(*steps[0], "s", color=COLORS["plain"])
        ax.plot(*steps[-1], "o", color=COLORS["plain"])
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax
