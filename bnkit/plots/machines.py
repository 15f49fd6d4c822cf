"""A batch on several machines: what its parts know of the whole, and what telling it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from bnkit.plots.style import COLORS, appearance, new_axes, to_numpy

__all__ = ["merged_shards", "shares_over_processes"]


def merged_shards(
    shards: Sequence[object],
    ax: Axes | None = None,
    *,
    span: tuple[float, float] | None = None,
) -> Axes:
    """Each shard with its mean and standard deviation, and two ways to put them together.

    Args:
        shards: one list of numbers per process, of any lengths.
        ax: axes to draw on; a new figure by default.
        span: smallest and largest value shown.

    Returns:
        The axes: the shards on top, then the whole batch by merged statistics, then the averages
        of means and variances.

    Example:
        >>> ax = merged_shards([[1.0, 2.0], [9.0]])
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['process 0', 'process 1', 'merged', 'averaged']
    """
    parts = [to_numpy(shard).astype(float).ravel() for shard in shards]
    ax = new_axes(ax, figsize=(7, 1.2 + 0.5 * len(parts)))
    whole = [value for part in parts for value in part]
    mean, variance = sum(whole) / len(whole), to_numpy(whole).var()
    averages = [
        sum(x) / len(parts) for x in zip(*((p.mean(), p.var()) for p in parts), strict=True)
    ]
    rows = [(f"process {i}", p, p.mean(), p.var(), "reference") for i, p in enumerate(parts)]
    rows.append(("merged", whole, mean, variance, "bn"))
    rows.append(("averaged", whole, *averages, "plain"))
    for y, (_, values, center, spread, color) in enumerate(rows):
        deviation = spread**0.5
        ax.barh(y, 2 * deviation, left=center - deviation, color=COLORS[color], alpha=0.3)
        ax.plot([center] * 2, [y - 0.4, y + 0.4], color=COLORS[color])
        ax.plot(values, [y] * len(values), "o", color=COLORS["text"], alpha=0.8)
        ax.annotate(
            f"σ² = {spread:.2f}", (1.01, y), xycoords=("axes fraction", "data"), va="center"
        )
    ax.set(yticks=range(len(rows)), yticklabels=[row[0] for row in rows], xlabel="value")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(span)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def shares_over_processes(
    shares: Mapping[str, Sequence[float]],
    processes: Sequence[int],
    ax: Axes | None = None,
    *,
    ylim: tuple[float, float] = (0.1, 1e5),
    xlabel: str = "GPUs",
    ylabel: str = "added time (% of the compute)",
) -> Axes:
    """Cost of communication as a share of the computation, over the number of processes.

    Args:
        shares: name to one percentage for each number of processes.
        processes: the numbers of processes, rising; both axes are logarithmic.
        ax: axes to draw on; a new figure by default.
        ylim: smallest and largest share shown.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.

    Returns:
        The axes, with a dotted line where communication takes as long as the computation.

    Raises:
        ValueError: a line does not have one value for each number of processes.

    Example:
        >>> ax = shares_over_processes({"tree": [7.0, 40.0]}, [8, 1024])
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['tree']
    """
    ax = new_axes(ax)
    for i, (name, values) in enumerate(shares.items()):
        if len(values) != len(processes):
            raise ValueError(f"{name!r} got {len(values)} values, expected {len(processes)}")
        ax.plot(processes, values, label=name, **appearance(name, i))
    ax.axhline(100, color=COLORS["reference"], linestyle=":")
    ax.annotate(
        "as long as the compute",
        (processes[0], 100),
        (0, 3),
        textcoords="offset points",
        fontsize=9,
    )
    ax.set(xscale="log", yscale="log", ylim=ylim, xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(processes, [f"{n:,}" for n in processes])
    ax.minorticks_off()
    ax.legend(loc="upper left")
    return ax
