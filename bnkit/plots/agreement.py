"""Two versions that should agree: outputs before and after, losses step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["loss_drift", "reloaded_outputs"]


def reloaded_outputs(
    before: object, after: object, labels: object, ax: Axes | None = None, *, shown: int = 100
) -> Axes:
    """Outputs of a classifier before saving against those after loading.

    Args:
        before: outputs (N, classes) before saving.
        after: outputs (N, classes) after loading.
        labels: true classes (N,), int.
        ax: axes to draw on; a new figure by default.
        shown: how many of the N examples are drawn.

    Returns:
        The axes: on the diagonal nothing changed; the title gives both accuracies.

    Example:
        >>> ax = reloaded_outputs([[1.0, 0.0]], [[0.0, 1.0]], [0])
        >>> ax.get_title(loc="left")
        'accuracy 100.0 % → 0.0 %'
    """
    before, after, labels = (to_numpy(values) for values in (before, after, labels))
    ax = new_axes(ax, figsize=(4.6, 3.6))
    ends = [before[:shown].min(), before[:shown].max()]
    ax.plot(ends, ends, "--", color=COLORS["reference"], linewidth=1)
    ax.plot(before[:shown].ravel(), after[:shown].ravel(), ".", color=COLORS["bn"], markersize=3)
    hits = [100 * (outputs.argmax(1) == labels).mean() for outputs in (before, after)]
    ax.set_title(f"accuracy {hits[0]:.1f} % → {hits[1]:.1f} %")
    ax.set(xlabel="output before saving", ylabel="output after loading")
    return ax


def loss_drift(
    panels: Mapping[str, Mapping[str, object]],
    ax: Sequence[Axes] | None = None,
    *,
    marks: Mapping[str, Mapping[str, Sequence[int]]] | None = None,
    window: int = 10,
    floor: float = 1e-8,
) -> Sequence[Axes]:
    """How far losses that should be equal come apart, a panel for each seed.

    Args:
        panels: title to a mapping from a name to the differences of two losses (steps,).
        ax: as many axes as panels; a new grid of them, two in a row, by default.
        marks: for the same titles and names the steps to mark with a triangle.
        window: steps of which the largest difference is drawn.
        floor: smallest difference that is drawn; zeros are drawn there.

    Returns:
        The axes.

    Example:
        >>> axes = loss_drift({"seed 0": {"ours": [0.0, 1e-7]}}, marks={"seed 0": {"ours": [1]}})
        >>> axes[0].get_yscale()
        'log'
    """
    if ax is None:
        rows, columns = -(-len(panels) // 2), min(len(panels), 2)
        share = {"sharex": True, "sharey": True}
        figure, grid = plt.subplots(
            rows, columns, figsize=(7.2, 2.3 * rows), squeeze=False, **share
        )
        figure.supylabel("difference of the losses", color=COLORS["text"], fontsize=11)
        ax = grid.ravel()
    for axes, (title, runs) in zip(ax, panels.items(), strict=False):
        for i, (name, gaps) in enumerate(runs.items()):
            look = appearance(name, i)
            _drift(axes, name, np.abs(to_numpy(gaps).astype(float)), look, window, floor)
            steps = (marks or {}).get(title, {}).get(name, ())
            axes.plot(
                steps, [floor] * len(steps), "^", color=look["color"], markersize=max(10 - 4 * i, 4)
            )
        axes.set(title=title, yscale="log")
        axes.label_outer()
    for axes in ax[-2:]:
        axes.set_xlabel("step")
    ax[0].legend(loc="center left", bbox_to_anchor=(0, 0.58), fontsize=9)
    return ax


def _drift(
    ax: Axes, name: str, gaps: np.ndarray, look: Mapping[str, str], window: int, floor: float
) -> None:
    """The largest difference of each window."""
    line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 1.4}
    largest = [gaps[i : i + window].max() for i in range(0, len(gaps), window)]
    ends = np.minimum(np.arange(0, len(gaps), window) + window, len(gaps)) - 1
    ax.plot(ends, np.maximum(largest, floor), label=name, **line)
