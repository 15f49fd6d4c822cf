"""What a class got wrong: exercise by mistake, counted in the graded notebooks, and drawn."""

from __future__ import annotations

import csv
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
from matplotlib.figure import Figure

from bnkit.book.grading.notebook import verdicts_in
from bnkit.book.registry import EXERCISES
from bnkit.plots import COLORS, STYLE

__all__ = ["RIGHT", "count_mistakes", "draw_mistakes", "write_mistakes"]

RIGHT = "right"
FIRST, LAST = (RIGHT,), ("not started",)  # the mistakes stand between them
LABEL_WIDTH = 44  # characters of a line
Counts = Mapping[str, Counter[str]]


def count_mistakes(graded: Path, assignments: Iterable[str]) -> Counts:
    """For each exercise of the assignments how many students made which mistake.

    Who made two at once is counted for both.
    """
    found: dict[str, Counter[str]] = {}
    for name in assignments:
        for path in sorted(graded.glob(f"*/{name}/*.ipynb")):
            for told in verdicts_in(nbformat.read(path, as_version=4)):
                found.setdefault(told["exercise"], Counter()).update(told["labels"])
    return found


def _rows(counts: Counts) -> list[tuple[str, str, int]]:
    """Exercise, mistake and number: the right ones first, then the most frequent."""

    def order(row: tuple[str, int]) -> tuple[int, int, str]:
        rank = 0 if row[0] in FIRST else 2 if row[0] in LAST else 1
        return rank, -row[1], row[0]

    return [
        (name, label, number)
        for name in EXERCISES
        for label, number in sorted(counts.get(name, {}).items(), key=order)
    ]


def write_mistakes(counts: Counts, path: Path) -> None:
    """The counts as CSV: exercise, its title, the mistake, and how many students made it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["exercise", "title", "mistake", "students"])
        for name, label, number in _rows(counts):
            writer.writerow([name, EXERCISES[name].title.replace("`", ""), label, number])


def draw_mistakes(counts: Counts) -> Figure:
    """The counts as bars on white, one block for each exercise, to be shown in a lesson."""
    rows = _rows(counts)
    names = list(dict.fromkeys(name for name, _, _ in rows))
    heights = [sum(name == each for each, _, _ in rows) for name in names]
    with plt.rc_context({**STYLE, "figure.facecolor": "white", "savefig.facecolor": "white"}):
        figure, axes = plt.subplots(
            *(len(names), 1),
            figsize=(9, 0.36 * sum(heights) + 0.5 * len(names)),
            height_ratios=heights,
            sharex=True,
            squeeze=False,
        )
        for ax, name in zip(axes[:, 0], names, strict=True):
            _draw_exercise(ax, name, [row[1:] for row in rows if row[0] == name])
    plt.close(figure)  # it is saved, not shown
    return figure


def _draw_exercise(ax: plt.Axes, name: str, rows: list[tuple[str, int]]) -> None:
    labels, numbers = zip(*rows, strict=True)
    colors = [COLORS["reference" if label in FIRST + LAST else "plain"] for label in labels]
    bars = ax.barh(range(len(rows)), numbers, color=colors, height=0.7)
    ax.bar_label(bars, padding=3)
    wrapped = [textwrap.fill(label, LABEL_WIDTH) for label in labels]
    ax.set_yticks(range(len(rows)), wrapped, color="black")
    ax.invert_yaxis()
    ax.set_title(EXERCISES[name].title.replace("`", ""), color="black")
    ax.xaxis.set_visible(False)
    ax.spines[["bottom", "top", "right"]].set_visible(False)
