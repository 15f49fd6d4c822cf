"""The figure: how the cost of batch normalization grows."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from bnkit.plots import COLORS, STYLE

LINES = {  # name of the times: label, color, line, marker
    "torch": ("PyTorch", COLORS["reference"], "--", "s"),
    "bnkit": ("bnkit", COLORS["bn"], "-", "o"),
    "local": ("bnkit, local", COLORS["bn"], "-", "o"),
    "sync": ("bnkit, synchronized", COLORS["plain"], "--", "s"),
}
SMALL = [64, 128]  # the input of the third panel


def draw(growth: list[dict], sync: list[dict], path: Path) -> None:
    """Write the three panels as an SVG; equal numbers give equal bytes."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": "bench"}):
        figure, axes = plt.subplots(3, figsize=(5.6, 7.6))
        for ax, what, label in (
            (axes[0], "batch", "size of the batch"),
            (axes[1], "features", "number of features"),
        ):
            rows = [row for row in growth if row["grows"] == what]
            panel(ax, rows, what, label, ("torch", "bnkit"))
        rows = [row for row in sync if row["shape"] == SMALL]
        panel(axes[2], rows, "processes", f"processes, each with {tuple(SMALL)}", ("local", "sync"))
        temporary = path.with_suffix(".tmp")
        figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)
    temporary.replace(path)


def panel(ax: Axes, rows: list[dict], key: str, label: str, names: tuple[str, ...]) -> None:
    sizes = [row[key] for row in rows]
    for name in names:
        text, color, line, marker = LINES[name]
        runs = [row["times"][name] for row in rows]
        middle = [statistics.median(values) for values in runs]
        below = [m - min(values) for m, values in zip(middle, runs, strict=True)]
        above = [max(values) - m for m, values in zip(middle, runs, strict=True)]
        look = {"color": color, "ls": line, "marker": marker, "label": text, "capsize": 3}
        ax.errorbar(sizes, middle, (below, above), **look)
    ax.set(xscale="log", yscale="log", xlabel=label, ylabel="microseconds")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.legend()


def alt(growth: list[dict], sync: list[dict]) -> str:
    """What the three panels show, in one line."""
    parts = []
    for what in ("batch", "features"):
        rows = [row for row in growth if row["grows"] == what]
        parts.append(
            f"from {what} {rows[0][what]} to {rows[-1][what]}: " + ends(rows, "torch", "bnkit")
        )
    rows = [row for row in sync if row["shape"] == SMALL]
    reach = f"from {rows[0]['processes']} to {rows[-1]['processes']} processes: "
    parts.append(reach + ends(rows, "local", "sync"))
    return "Three panels of microseconds on logarithmic axes. " + "F" + "; ".join(parts)[1:] + "."


def ends(rows: list[dict], *names: str) -> str:
    text = []
    for name in names:
        first, last = (statistics.median(row["times"][name]) for row in (rows[0], rows[-1]))
        text.append(f"{LINES[name][0]} {first:,.0f} to {last:,.0f}")
    return ", ".join(text)
