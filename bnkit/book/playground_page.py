"""The playground as plain HTML: the standard library alone, since the book builds without torch.

Beside the module ``static/playground.js`` the page carries a picture of the first state, drawn
here, for readers without scripts.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

__all__ = ["DEFAULTS", "checked", "playground_html"]

STATIC = Path(__file__).parent / "static"
MIN_SIZE, MAX_SIZE = 2, 16
DEFAULTS = {
    "x": [5.2, 1.1, 2.4, 3.7, 6.6, 0.3, 4.1, 1.8],
    "gamma": 1.0,
    "beta": 0.0,
    "eps": 1e-5,
    "training": True,
    "running_mean": 0.0,
    "running_var": 1.0,
    "num_batches_tracked": 0,
    "population_mean": 3.0,
    "population_sd": 2.0,
    "seed": 0,
}


def playground_html(**state) -> str:
    """The playground as HTML for any page; the same state gives the same bytes."""
    state = checked(state)
    script, style = _compact("playground.js"), _compact("playground.css")
    values = json.dumps(state, separators=(",", ":"))
    name = hashlib.sha256((script + style + values).encode()).hexdigest()[:12]
    return _PAGE.format(
        name=name, style=style, script=script, values=values, picture=_picture(state)
    )


def checked(state: dict) -> dict:
    """The defaults, overlaid with what the caller gives, as plain numbers."""
    if unknown := sorted(set(state) - set(DEFAULTS)):
        raise ValueError(f"playground got {', '.join(unknown)}; it knows {', '.join(DEFAULTS)}")
    merged = {name: state.get(name, value) for name, value in DEFAULTS.items()}
    merged["x"] = [float(value) for value in merged["x"]]
    for name, value in DEFAULTS.items():
        if name != "x":
            merged[name] = type(value)(merged[name])
    size = len(merged["x"])
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"x has {size} values; the playground takes {MIN_SIZE} to {MAX_SIZE}")
    if not all(map(math.isfinite, merged["x"])):
        raise ValueError(f"x is {merged['x']}; every value must be finite")
    if merged["eps"] <= 0 or merged["running_var"] < 0:
        raise ValueError(
            f"eps is {merged['eps']} and running_var {merged['running_var']}; "
            "eps must be positive and running_var not negative"
        )
    return merged


def _mode_name(state: dict) -> str:
    return "train" if state["training"] else "eval"


def _compact(name: str) -> str:
    """Return a source file without its comments on lines of their own and its indentation."""
    lines = (line.strip() for line in (STATIC / name).read_text(encoding="utf-8").splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//"))
    assert "</script" not in text and "</style" not in text
    return text


# ---- the picture without scripts: the geometry of playground.js, with its colors spelled out
LOW, HIGH, ROWS, HEIGHT = -8, 10, (96, 206, 316), 368


def _percent(value: float) -> float:
    return round(min(max(2 + 96 * (value - LOW) / (HIGH - LOW), 0.8), 99.2), 3)


def _statistics(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / len(values)


def _rows(values: list[float], used: tuple[float, float], state: dict) -> list[list[float]]:
    """Return x, x_hat and y."""
    x_hat = [(value - used[0]) / math.sqrt(used[1] + state["eps"]) for value in values]
    return [values, x_hat, [state["gamma"] * value + state["beta"] for value in x_hat]]


def _polyline(values: list[float], style: str) -> str:
    points = " ".join(f"{_percent(value)},{row}" for value, row in zip(values, ROWS, strict=True))
    return f'<polyline points="{points}" fill="none" vector-effect="non-scaling-stroke" {style}/>'


def _picture(state: dict) -> str:
    """Return the SVG and the sentence that stand where scripts do not run."""
    batch = _statistics(state["x"])
    used = batch if state["training"] else (state["running_mean"], state["running_var"])
    rows, sd = _rows(state["x"], used, state), math.sqrt(used[1])
    edges = _rows([used[0] - sd, used[0], used[0] + sd], used, state)
    left, spine, right = zip(*edges, strict=True)
    band = [(_percent(v), row) for v, row in zip(left, ROWS, strict=True)]
    band += [(_percent(v), row) for v, row in zip(right, ROWS, strict=True)][::-1]
    corners = " ".join(f"{x},{y}" for x, y in band)
    threads = [_polyline(values, _THREAD) for values in zip(*rows, strict=True)]
    return _SVG.format(
        height=HEIGHT,
        axes="".join(
            _axis(row, name) for row, name in zip(ROWS, ("x", "x\u0302", "y"), strict=True)
        ),
        band=f'<polygon points="{corners}" fill="#1b80c1" fill-opacity=".2"/>',
        lines=_polyline(spine, _SPINE) + "".join(threads),
        dots="".join(_dots(values, row) for values, row in zip(rows, ROWS, strict=True)),
        numbers=f"{batch[0]:.2f}".replace("-", "−") + f" and variance {batch[1]:.2f}",
        mode=_mode_name(state),
    )


def _dots(values: list[float], row: int) -> str:
    radius = 8 if row == ROWS[0] else 5
    dot = '<circle cx="{}%" cy="{}" r="{}" fill="#1b80c1"/>'
    return "".join(dot.format(_percent(value), row, radius) for value in values)


def _axis(row: int, name: str) -> str:
    tick = '<text x="{}%" y="{}" text-anchor="middle">{}</text>'
    ticks = "".join(
        tick.format(_percent(value), row + 26, str(value).replace("-", "−"))
        for value in range(LOW, HIGH + 1, 2)
    )
    line = f'<line x1=".8%" x2="99.2%" y1="{row}" y2="{row}" stroke="currentColor"/>'
    return f'{line}<text x=".8%" y="{row - 10}" font-size="16">{name}</text>{ticks}'


_SPINE = 'class="bnpg-spine" stroke="#1b80c1" stroke-dasharray="3 3"'
_THREAD = 'stroke="currentColor" stroke-opacity=".4"'
_SVG = """<svg width="100%" height="{height}" role="img" aria-label="Three number lines: the \
mini-batch x, normalized x hat, and output y, in {mode} mode" font-size="11" fill="currentColor">
{axes}<svg width="100%" height="{height}" viewBox="0 0 100 {height}" preserveAspectRatio="none">
{band}{lines}</svg>{dots}</svg>
<p>A mini-batch with mean {numbers}, and what batch normalization makes of it in {mode} mode. \
With JavaScript the points can be dragged.</p>"""
_PAGE = """<div class="bnkit-playground" data-bnkit="{name}">
<style>{style}</style>
<div class="bnkit-stage"><div class="bnpg">{picture}</div></div>
<script type="text/plain">{script}</script>
<script>(() => {{
const root = document.querySelector('[data-bnkit="{name}"]:not([data-on])');
if (!root) return;
root.dataset.on = "";
const source = root.querySelector('[type="text/plain"]').textContent;
const url = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
import(url).then(({{ mount }}) => mount(root.querySelector(".bnkit-stage"), {values}))
.finally(() => URL.revokeObjectURL(url));
}})();</script>
</div>"""
