"""The report as HTML for a notebook: findings, a strip plot, and the layers in numbers."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bnkit.doctor.finding import Finding, address
from bnkit.doctor.sketch import Sketch

__all__ = ["page", "strip_plot"]

SHOWN = 30  # layers in the strip plot, the farthest off
EDGE = 4.0
BLUE, GRAY, TEXT = "#0072B2", "#8d9199", "#7b7f87"  # bnkit.plots' own; its import changes rcParams
LOOK = {
    "figure.facecolor": "none", "axes.facecolor": "none", "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT, "xtick.color": TEXT, "ytick.color": TEXT,
    "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip
_LEFT = 'style="text-align:left;vertical-align:top;padding:.2em .8em .2em 0"'
_WRAPS = 'style="white-space:pre-wrap;overflow-wrap:anywhere"'
_MARKS = {"error": "✗", "warning": "!", "note": "·"}


def page(summary: str, groups: list[list[Finding]], layers: Sequence[Sketch]) -> str:
    """The whole report in one piece of HTML, with no script and no request."""
    parts = [f"<p><strong>{html.escape(summary)}</strong></p>", _findings(groups)]
    measured = [layer for layer in layers if layer.shifts]
    if measured:
        parts.append(_picture(measured))
    parts.append(_layers(layers))
    box = 'tabindex="0" role="region" aria-label="Report" style="overflow-x:auto"'
    return f'<div class="bnkit-report" {box}>{"".join(parts)}</div>'


def _findings(groups: list[list[Finding]]) -> str:
    if not groups:
        return "<p>No finding.</p>"
    rows = "".join(map(_row, groups))
    heads = "".join(
        f'<th scope="col" {_LEFT}>{h}</th>' for h in ("severity", "finding", "where", "evidence")
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _row(group: list[Finding]) -> str:
    first, esc = group[0], html.escape
    names = "".join(f"<li>{esc(f.layer)}: {esc(f.evidence)}</li>" for f in group[1:])
    more = f"<details><summary>and {len(group) - 1} more</summary><ul>{names}</ul></details>"
    mend = f"<pre {_WRAPS}><code>{esc(first.mend)}</code></pre>"
    file, _, heading = first.reread.partition("#")
    link = f'<a href="{esc(address(first.reread))}">chapter {int(file[:2])}</a>'
    return (
        f"<tr><td {_LEFT}>{_MARKS[first.severity]}&nbsp;{first.severity}</td>"
        f"<td {_LEFT}><code>{esc(first.check)}</code></td>"
        f"<td {_LEFT}><code>{esc(first.layer)}</code>{more if names else ''}</td>"
        f"<td {_LEFT}>{esc(first.evidence)}<details><summary>why, and the mend</summary>"
        f"<p>{esc(first.why)} Read {link}: {esc(heading.replace('`', ''))}.</p>{mend}"
        "</details></td></tr>"
    )


def _layers(layers: Sequence[Sketch]) -> str:
    heads = ("layer", "kind", "channels", "mode", "values a mean", "gradient behind",
             "gradient before", "update / weight")  # fmt: skip
    head = "".join(f'<th scope="col" {_LEFT}>{h}</th>' for h in heads)
    rows = "".join(
        "<tr>" + "".join(f"<td {_LEFT}>{cell}</td>" for cell in _cells(layer)) + "</tr>"
        for layer in layers
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<details><summary>all {len(layers)} layers in numbers</summary>{table}</details>"


def _cells(layer: Sketch) -> Iterator[str]:
    yield f"<code>{html.escape(layer.name)}</code>"
    yield html.escape(layer.kind)
    yield "" if layer.channels is None else f"{layer.channels:,}"
    yield "training" if layer.training else "evaluation"
    yield "" if layer.values is None else f"{layer.values:,}"
    for value in (layer.gradient_behind, layer.gradient_before, layer.update):
        yield "" if value is None else f"{value:.2g}"


def _middle(values: Sequence[float]) -> float:
    return sorted(map(abs, values))[len(values) // 2]


def strip_plot(layers: Sequence[Sketch]) -> Figure:
    """Each channel as a stroke: how far its running mean and variance are from the data's."""
    far = sorted(layers, key=lambda s: -_middle(s.shifts) - _middle(s.factors))[:SHOWN]
    shown = [layer for layer in layers if layer in far]
    figure = Figure(figsize=(4.2, 1.8 + 0.44 * len(shown)), layout="constrained")
    panels = figure.subplots(2, 1)  # below each other: legible on a phone
    titles = ("running mean − data's, in standard deviations", "log₂ of running variance / data's")
    for ax, title, key in zip(panels, titles, ("shifts", "factors"), strict=True):
        ax.axvline(0, color=GRAY, linestyle="--", linewidth=1)
        for row, layer in enumerate(shown):
            values = [max(-EDGE, min(EDGE, value)) for value in getattr(layer, key)]
            ax.plot(values, [row] * len(values), "|", color=BLUE, alpha=0.5, markersize=8)
        ax.set(xlim=(-EDGE - 0.2, EDGE + 0.2), ylim=(len(shown) - 0.5, -0.5))
        ax.set_xlabel(title, fontsize=9)
        ax.set_yticks(range(len(shown)), [layer.name for layer in shown], fontsize=9)
    return figure


def _picture(layers: Sequence[Sketch]) -> str:
    file = io.BytesIO()
    with mpl.rc_context(LOOK):
        FigureCanvasAgg(strip_plot(layers)).print_png(file, metadata={"Software": None})
    off = sum(_middle(s.shifts) > 0.5 or _middle(s.factors) > 1 for s in layers)
    alt = f"Running statistics of {len(layers)} layers against the data's: {off} are far off."
    source = base64.b64encode(file.getvalue()).decode()
    return f'<img class="dark-light" alt="{html.escape(alt)}" src="data:image/png;base64,{source}">'
