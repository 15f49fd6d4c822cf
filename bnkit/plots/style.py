"""The look of the book's figures: one meaning per color, legible on white and on dark."""

from __future__ import annotations

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

__all__ = [
    "COLORS",
    "DIVERGING",
    "STYLE",
    "appearance",
    "new_axes",
    "number",
    "to_numpy",
    "use_style",
]

COLORS = {
    "bn": "#0072B2",  # batch normalization
    "plain": "#D55E00",  # the same network without it
    "layer": "#009E73",  # layer normalization
    "group": "#CC79A7",  # group and other normalizations
    "other": "#E69F00",  # these two mean nothing by themselves
    "sky": "#56B4E9",
    "reference": "#8d9199",
    "text": "#7b7f87",
}

DIVERGING = LinearSegmentedColormap.from_list(
    "bnkit", [COLORS["plain"], "#efcfba", "#e6e9ec", "#b9d7ea", COLORS["bn"]]
)

STYLE = {
    "figure.figsize": (7.0, 3.2),
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "text.color": COLORS["text"],
    "axes.titlecolor": COLORS["text"],
    "axes.labelcolor": COLORS["text"],
    "axes.edgecolor": COLORS["text"],
    "xtick.color": COLORS["text"],
    # One step lighter than the x ticks: where all tick labels are dark (or all light), Jupyter
    # asks for a light (or dark) box behind a transparent figure; a mixture gets no box.
    "ytick.color": "#7e828a",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(
        color=[COLORS[k] for k in ("bn", "plain", "layer", "group", "other", "reference")]
    ),
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}

_MEANINGS = {  # in this order: "without BN" and "noise after BN" name BN too
    "other": r"\bnoise after\b",
    "plain": r"\bplain\b|^none$|\b(no|without) (bn|batch ?norm|norm)",
    "layer": r"^layer$|layer ?norm|\bln\b",
    "group": r"^(group|instance|rms)$|(group|instance|rms) ?norm|\bgn\b",
    "bn": r"^(batch|torch)$|\bbn|bn\b|batch ?norm",
}
_DRAWN = {
    "bn": ("-", "o"),
    "plain": ("--", "s"),
    "layer": ("-.", "^"),
    "group": (":", "D"),
    "other": ("-.", "v"),
}
_SPARE = (("other", "-", "v"), ("reference", "--", "P"), ("sky", "-.", "X"), ("other", ":", "*"))


def use_style() -> None:
    """Make the book's look matplotlib's default; importing :mod:`bnkit.plots` does it.

    Example:
        >>> import matplotlib as mpl
        >>> use_style()
        >>> mpl.rcParams["figure.facecolor"]
        'none'
    """
    mpl.rcParams.update(STYLE)


def appearance(name: str, index: int = 0) -> dict[str, str]:
    """Color, line style and marker of a series, from the normalization that it names.

    Args:
        name: the label of the series, such as ``"BN"`` or ``"without BN"``.
        index: which of the spare looks to take where the name means none.

    Returns:
        ``color``, ``linestyle`` and ``marker``, to be unpacked into a plotting call.

    Example:
        >>> appearance("without BN")["color"] == COLORS["plain"]
        True
    """
    for meaning, pattern in _MEANINGS.items():
        if re.search(pattern, name.lower().replace("-", " ")):
            line, marker = _DRAWN[meaning]
            return {"color": COLORS[meaning], "linestyle": line, "marker": marker}
    color, line, marker = _SPARE[index % len(_SPARE)]
    return {"color": COLORS[color], "linestyle": line, "marker": marker}


def new_axes(ax: Axes | None = None, figsize: tuple[float, float] | None = None) -> Axes:
    """``ax`` itself, or the axes of a new figure.

    Example:
        >>> ax = new_axes(figsize=(3, 2))
        >>> new_axes(ax) is ax
        True
    """
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def number(value: float, fmt: str = "{:.2f}") -> str:
    """A formatted number, without the minus sign of a negative zero.

    Example:
        >>> number(-0.001), number(-0.01)
        ('0.00', '-0.01')
    """
    text = fmt.format(value)
    return text if text.strip("-0.") else text.removeprefix("-")


def to_numpy(values: object) -> np.ndarray:
    """An array of a tensor (detached, on the CPU), a list or an array.

    Example:
        >>> to_numpy([1, 2]).tolist()
        [1, 2]
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)
