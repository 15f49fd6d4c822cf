"""Figures with sliders: one drawing function, live with a kernel, baked into the page without."""

from __future__ import annotations

import base64
import html
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from numbers import Real

from matplotlib.figure import Figure

import bnkit.plots  # noqa: F401  (gives every figure the book's look)
from bnkit.book.page import Html, digest, picture, png, prose, script, widget, widget_home

__all__ = ["Axis", "explore"]

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
        caption: a line below the figure; ``\( maths \)`` may occur, and code between backticks.
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


def bake(
    render: Callable[..., Figure],
    describe: Callable[..., str],
    axes: Sequence,
    caption: str | None,
) -> Html:
    """Draw every frame and put them behind native sliders; what is equal is stored once."""
    settings = [
        dict(zip([axis.name for axis in axes], values, strict=True))
        for values in product(*(axis.values for axis in axes))
    ]
    frames, frame = _distinct([png(render(**values)) for values in settings])
    alts, alt = _distinct([describe(**values) for values in settings])
    at = 0
    for axis in axes:
        at = at * len(axis.values) + axis.start
    stored = [base64.b64encode(data).decode() for data in frames]
    stored[frame[at]] = ""  # the script takes the first one from the image
    data = {
        "labels": [axis.label for axis in axes],
        "values": [axis.texts for axis in axes],
        "frames": stored,
        "frame": frame,
        "alts": alts,
        "alt": alt,
        "shown": frame[at],
    }
    key = digest(data, frames[frame[at]], caption)
    parts = [
        picture(frames[frame[at]], alts[alt[at]]),
        f'<div class="bnkit-controls" hidden>{"".join(map(_native_slider, axes))}</div>',
        f'<p class="bnkit-at">{html.escape(_state(axes))}</p>',
        f"<figcaption>{prose(caption)}</figcaption>" if caption else "",
        script("explore.js", key, data),
    ]
    text = f"{alts[alt[at]]} [{_state(axes)}; {len(settings)} settings]"
    return widget("figure", "explore", key, parts, text)


def _distinct(items: Sequence) -> tuple[list, list[int]]:
    """The different items in order of appearance, and for each item its place among them."""
    places: dict = {}
    numbers = [places.setdefault(item, len(places)) for item in items]
    return list(places), numbers


def _native_slider(axis: object) -> str:
    shown = html.escape(axis.texts[axis.start])
    return (
        f'<div class="bnkit-row"><label><span>{html.escape(axis.label)}</span>'
        f'<input type="range" min="0" max="{len(axis.values) - 1}" step="1" value="{axis.start}" '
        f'aria-valuetext="{shown}" autocomplete="off"></label>'
        f'<output aria-live="off">{shown}</output></div>'
    )


def _state(axes: Sequence) -> str:
    return ", ".join(f"{axis.label} = {axis.texts[axis.start]}" for axis in axes)


def live(
    render: Callable[..., Figure],
    describe: Callable[..., str],
    axes: Sequence,
    caption: str | None,
) -> object:
    """Sliders over an image that the kernel redraws; settings seen before come from memory."""
    import ipywidgets as widgets

    image = widgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
    words = widgets.HTML()
    sliders = [_slider(widgets, axis) for axis in axes]
    seen: dict[tuple, tuple[bytes, str]] = {}
    layout: list = []

    def show(_change: object = None) -> None:
        at = tuple(slider.value for slider in sliders)
        values = {axis.name: axis.values[i] for axis, i in zip(axes, at, strict=True)}
        if at not in seen:
            seen[at] = _fast_png(render(**values), layout), describe(**values)
        image.value, alt = seen[at]
        words.value = _hidden(alt)

    for slider in sliders:
        slider.observe(show, names="value")
    show()
    below = [widgets.HTMLMath(prose(caption))] if caption else []
    return widgets.VBox([image, *sliders, *below, words])


def _fast_png(figure: Figure, layout: list) -> bytes:
    """PNG of a figure; all but the first take over its layout, whose search costs half the time."""
    if figure.get_layout_engine() is not None and len(layout) == len(figure.axes):
        figure.set_layout_engine("none")
        for axes, position in zip(figure.axes, layout, strict=True):
            axes.set_position(position)
    data = png(figure, colors=None)
    layout[:] = [axes.get_position() for axes in figure.axes]
    return data


def _slider(widgets: object, axis: object) -> object:
    return widgets.SelectionSlider(
        options=[(text, i) for i, text in enumerate(axis.texts)],
        value=axis.start,
        description=axis.label,
        continuous_update=True,
        style={"description_width": "9rem"},
        layout={"width": "100%", "max_width": "44rem"},
    )


def _hidden(alt: str) -> str:
    """Words for a screen reader, which announces them when they change; nothing to see."""
    hide = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
    return f'<span role="status" style="{hide}">{html.escape(alt)}</span>'
