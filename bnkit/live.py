"""Sliders with a kernel: ipywidgets 7.7.1 and later, the picture drawn anew on each move."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from bnkit.page import png, prose

__all__ = ["live"]


def live(
    render: Callable[..., Figure],
    describe: Callable[..., str],
    axes: Sequence,
    caption: str | None,
) -> object:
    """Sliders over an image that is redrawn by the kernel.

    Args:
        render: ``render(**values)`` returns the figure.
        describe: ``describe(**values)`` returns its alternative text.
        axes: the sliders, each with ``name, label, values, texts, start``.
        caption: a line below the figure.

    Returns:
        An ``ipywidgets.VBox``; settings seen before come from memory.
    """
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
