"""Figures with sliders: one drawing function, live with a kernel, baked into the page without."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real

from matplotlib.figure import Figure

import bnkit.plots  # noqa: F401  (gives every figure the book's look)
from bnkit.baked import bake
from bnkit.home import widget_home
from bnkit.live import live
from bnkit.playground import playground

__all__ = ["Axis", "explore", "playground", "widget_home"]

MAX_FRAMES = 400


@dataclass(frozen=True)
class Axis:
    """One slider: the argument it sets, its label, its values and where it starts."""

    name: str
    label: str
    values: tuple
    start: int

    @property
    def texts(self) -> list[str]:
        """The values as a reader sees them."""
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in self.values]


def explore(
    draw: Callable[..., Figure],
    *,
    alt: Callable[..., str] | str | None = None,
    caption: str | None = None,
    **axes: Sequence | Mapping,
) -> object:
    r"""Let the reader move one to three sliders and see the figure follow.

    With a kernel (JupyterLab, VS Code, Colab) each move calls ``draw`` anew. In a notebook that is
    executed for the page every frame is drawn beforehand, and the sliders need neither kernel nor
    network. ``$BNKIT_WIDGETS`` set to ``live`` or ``baked`` decides over what is detected.

    Args:
        draw: ``draw(**values)`` returns a new matplotlib figure, always of the same size.
        alt: ``alt(**values)`` returns what this frame shows, for those who cannot see it; a string
            is followed by the sliders' values.
        caption: a line below the figure; ``\( maths \)`` and `` `code` `` may occur.
        **axes: per argument of ``draw`` a list of values, or a mapping with ``values`` and
            optionally ``default`` (else the first) and ``label`` (else the argument's name).

    Returns:
        What the last line of a cell shows.

    Raises:
        ValueError: no or more than three axes, an empty or unsorted one, a default that is not
            among the values, or more than 400 frames.
        TypeError: axes that do not fit the arguments of ``draw``, or a ``draw`` that returns no
            figure.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> def draw(gamma):
        ...     figure, ax = plt.subplots(figsize=(3, 2))
        ...     ax.plot([-1, 1], [-gamma, gamma])
        ...     return figure
        >>> explore(draw, alt="y over x_hat.", gamma=dict(values=[0.5, 1.0, 2.0], default=1.0))
        y over x_hat. gamma = 1. [gamma = 1; 3 settings]
    """
    sliders = [_axis(name, given) for name, given in axes.items()]
    _check(draw, sliders)

    def render(**values: object) -> Figure:
        figure = draw(**values)
        if not isinstance(figure, Figure):
            kind = type(figure).__name__
            raise TypeError(
                f"draw returned {kind}, expected a matplotlib Figure (return ax.figure)"
            )
        return figure

    make = live if widget_home() == "live" else bake
    return make(render, _describer(alt, sliders), sliders, caption)


def _axis(name: str, given: Sequence | Mapping) -> Axis:
    options = dict(given) if isinstance(given, Mapping) else {"values": given}
    unknown = sorted(set(options) - {"values", "default", "label"})
    if unknown or "values" not in options:
        got = ", ".join(options)
        raise ValueError(
            f"axis {name} got keys {got}, expected values and optionally default, label"
        )
    values = tuple(options["values"])
    if not values:
        raise ValueError(f"axis {name} got no values, expected at least one")
    if all(isinstance(value, Real) for value in values) and not _rises(values):
        raise ValueError(f"axis {name} got {list(values)}, expected rising values")
    default = options.get("default", values[0])
    if default not in values:
        raise ValueError(f"axis {name} got default {default!r}, expected one of {list(values)}")
    return Axis(name, options.get("label", name), values, values.index(default))


def _rises(values: Sequence) -> bool:
    return all(a < b for a, b in pairwise(values))


def _check(draw: Callable, axes: Sequence[Axis]) -> None:
    names = [axis.name for axis in axes]
    if not 1 <= len(axes) <= 3:
        raise ValueError(f"got {len(axes)} axes ({', '.join(names)}), expected 1 to 3")
    frames = math.prod(len(axis.values) for axis in axes)
    if frames > MAX_FRAMES:
        sizes = " x ".join(str(len(axis.values)) for axis in axes)
        raise ValueError(f"got {sizes} = {frames} frames, expected at most {MAX_FRAMES}")
    try:
        inspect.signature(draw).bind(**dict.fromkeys(names))
    except TypeError as error:
        arguments = inspect.signature(draw)
        raise TypeError(f"got axes {names}, expected those of draw{arguments}: {error}") from None


def _describer(alt: Callable[..., str] | str | None, axes: Sequence[Axis]) -> Callable[..., str]:
    if callable(alt):
        return alt

    def describe(**values: object) -> str:
        state = ", ".join(
            f"{axis.label} = {axis.texts[axis.values.index(values[axis.name])]}" for axis in axes
        )
        return f"{alt or 'Figure.'} {state}."

    return describe
