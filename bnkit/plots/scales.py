"""The scale of weights: what it does at the start, and how their length moves in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bnkit.plots.rates import training_losses
from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["lengths_by_start", "rescaled_paths", "start_and_losses"]


def rescaled_paths(
    losses: Mapping[str, Sequence[float]],
    lengths: Sequence[float],
    steps: Sequence[float],
    ax: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Losses of runs whose weights differ in scale, and the growth of the weights as Pythagoras.

    Args:
        losses: name to the losses of one run; the first two are expected to coincide.
        lengths: length of a weight matrix before each step.
        steps: length of each step.
        ax: two axes; a new row of two by default.

    Returns:
        The axes: the losses; growth of the squared length, measured and added up from the steps.

    Example:
        >>> _, right = rescaled_paths({"W": [2, 1], "2 W": [2, 1]}, [3.0, 5.0], [4.0, 1.0])
        >>> right.lines[1].get_ydata().tolist()
        [0.0, 16.0]
    """
    left, right = plt.subplots(1, 2, figsize=(7.4, 3.0))[1] if ax is None else ax
    looks = (("bn", "-", 1.8), ("plain", ":", 3.2), ("other", "--", 1.8))
    for (name, run), (color, line, width) in zip(losses.items(), looks, strict=False):
        left.plot(to_numpy(run), line, color=COLORS[color], linewidth=width, label=name)
    left.set(xlabel="step", ylabel="training loss")
    squares, gains = to_numpy(lengths) ** 2, to_numpy(steps) ** 2
    right.plot(squares - squares[0], color=COLORS["bn"], label="measured")
    right.plot(
        gains.cumsum() - gains, ":", color=COLORS["plain"], linewidth=3.2, label="Pythagoras"
    )
    right.set(xlabel="step", ylabel="growth of ‖W‖²")
    for axes in (left, right):
        axes.legend()
    return left, right


def start_and_losses(
    spreads: Mapping[str, Sequence[float]],
    losses: Mapping[str, Sequence[Sequence[float]]],
    ax: Sequence[Axes] | None = None,
    *,
    span: tuple[float, float] = (1e-14, 1e10),
    title: str = "",
) -> Sequence[Axes]:
    """How large each layer's activations are at the start, and how training goes on from there.

    Args:
        spreads: name to the standard deviation of the activations, one a layer.
        losses: the same names to one list of losses per seed; short ones end in ``nan``.
        ax: two axes; a new row of two by default.
        span: smallest and largest standard deviation shown.
        title: title of the left panel.

    Returns:
        The axes.

    Example:
        >>> left, right = start_and_losses({"BN": [0.6, 0.6]}, {"BN": [[2.3] * 5 + [1.0] * 5]})
        >>> left.get_yscale()
        'log'
    """
    left, right = plt.subplots(1, 2, figsize=(7.4, 3.0))[1] if ax is None else ax
    for i, (name, spread) in enumerate(spreads.items()):
        left.plot(range(1, len(spread) + 1), spread, **appearance(name, i))
    left.set(yscale="log", ylim=span, title=title)
    left.set(xlabel="hidden layer", ylabel="spread of the activations")
    left.set_xticks(range(1, 1 + max(map(len, spreads.values()))))
    longest = max(len(run) for runs in losses.values() for run in runs)
    training_losses(
        {k: [_ended(run, longest) for run in runs] for k, runs in losses.items()}, right
    )
    return left, right


def _ended(run: Sequence[float], length: int) -> np.ndarray:
    """A run that broke off, continued as ``nan``."""
    return np.append(to_numpy(run).astype(float), [np.nan] * (length - len(run)))


def lengths_by_start(
    lengths: Mapping[float, Sequence[float]], ax: Axes | None = None, *, unit: float = 1.0
) -> Axes:
    """Length of weights during training, one curve for each scale that they started at.

    Args:
        lengths: starting scale to the length at each step.
        ax: axes to draw on; a new figure by default.
        unit: length at scale 1, by which all are divided.

    Returns:
        The axes; each curve is named at its start.

    Example:
        >>> ax = lengths_by_start({0.1: [0.1, 0.9], 1: [1.0, 1.1]})
        >>> [text.get_text() for text in ax.texts]
        ['0.1', '1']
    """
    ax = new_axes(ax)
    for scale, run in lengths.items():
        relative = to_numpy(run) / unit
        color = COLORS["other"] if scale < 1 else COLORS["bn"] if scale == 1 else COLORS["group"]
        line = "--" if scale < 1 else "-" if scale == 1 else ":"
        ax.plot(relative, line, color=color)
        place = {"xytext": (-5, 0), "textcoords": "offset points", "ha": "right", "va": "center"}
        ax.annotate(f"{scale:g}", (0, relative[0]), color=color, fontsize=9, **place)
    ax.set(yscale="log", xlabel="step", ylabel="length of W (× He)")
    ax.spines["left"].set_visible(False)
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    return ax
