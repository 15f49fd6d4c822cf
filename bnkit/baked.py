"""Sliders that need no kernel: every frame is drawn beforehand and lies in the page."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from itertools import product

from matplotlib.figure import Figure

from bnkit.page import Html, digest, picture, png, prose, script, widget

__all__ = ["bake"]


def bake(
    render: Callable[..., Figure],
    describe: Callable[..., str],
    axes: Sequence,
    caption: str | None,
) -> Html:
    """Draw every frame and put them behind native sliders.

    Args:
        render: ``render(**values)`` returns the figure.
        describe: ``describe(**values)`` returns its alternative text.
        axes: the sliders, each with ``name, label, values, texts, start``.
        caption: a line below the figure.

    Returns:
        The output; equal frames and equal alternative texts are stored once.
    """
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
        f'<div class="bnkit-controls" hidden>{"".join(map(_slider, axes))}</div>',
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


def _slider(axis: object) -> str:
    shown = html.escape(axis.texts[axis.start])
    return (
        f'<div class="bnkit-row"><label><span>{html.escape(axis.label)}</span>'
        f'<input type="range" min="0" max="{len(axis.values) - 1}" step="1" value="{axis.start}" '
        f'aria-valuetext="{shown}" autocomplete="off"></label>'
        f'<output aria-live="off">{shown}</output></div>'
    )


def _state(axes: Sequence) -> str:
    return ", ".join(f"{axis.label} = {axis.texts[axis.start]}" for axis in axes)
