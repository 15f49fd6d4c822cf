"""One line of a forest plot: an estimate, its interval, zero and the margin, as SVG."""

from __future__ import annotations

import html

WIDTH, HEIGHT = 150, 18


def forest_line(row: dict, reach: float) -> str:
    """Draw a comparison on an axis from ``-reach`` to ``reach``, with zero in the middle."""
    middle = HEIGHT / 2

    def x(value: float) -> float:
        return round(WIDTH / 2 * (1 + 0.94 * value / reach), 1)

    band = ""
    if margin := row["margin"]:
        band = (
            f'<rect class="within" x="{x(-margin)}" y="1" width="{x(margin) - x(-margin):.1f}" '
            f'height="{HEIGHT - 2}"/>'
        )
    name = f"{row['label']}: {row['mean']:.3g}, from {row['low']:.3g} to {row['high']:.3g}"
    return (
        f'<svg class="forest" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{html.escape(name)}">{band}'
        f'<line class="zero" x1="{x(0)}" y1="0" x2="{x(0)}" y2="{HEIGHT}"/>'
        f'<line class="interval" x1="{x(row["low"])}" y1="{middle}" '
        f'x2="{x(row["high"])}" y2="{middle}"/>'
        f'<circle class="estimate" cx="{x(row["mean"])}" cy="{middle}" r="3.2"/></svg>'
    )
