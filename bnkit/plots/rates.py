"""Results over learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from bnkit.plots.style import appearance, new_axes, to_numpy

__all__ = ["over_rates"]


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
