"""Figures: what they show, and that they are legible on white and on dark."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from bnkit import plots

DRAWN_ON_ONE_AXES = {
    "histogram": lambda ax: plots.histogram(torch.arange(12.0), ax),
    "dots_with_spread": lambda ax: plots.dots_with_spread({"BN": [1, 2], "plain": [0, 1]}, ax),
    "learning_curves": lambda ax: plots.learning_curves({"BN": [3.0, 2.0, 1.0]}, ax),
    "training_losses": lambda ax: plots.training_losses({"BN": [[2.0, 1.0]]}, ax, width=1),
    "over_rates": lambda ax: plots.over_rates({"BN": [[80, 82], [91, 92]]}, [0.1, 1.0], ax),
    "step_table": lambda ax: plots.step_table(torch.rand(4, 2), ax),
}


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def contrast(one: str, other: str) -> float:
    """Contrast of two colors by WCAG 2."""

    def luminance(color: str) -> float:
        channels = np.array(to_rgb(color))
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", DRAWN_ON_ONE_AXES)
def test_a_function_draws_on_the_given_axes_and_returns_it(name):
    ax = plt.subplots()[1]
    assert DRAWN_ON_ONE_AXES[name](ax) is ax
    assert ax.has_data()


@pytest.mark.parametrize("name", DRAWN_ON_ONE_AXES)
def test_a_function_makes_its_own_figure_when_given_no_axes(name):
    assert DRAWN_ON_ONE_AXES[name](None).figure is plt.gcf()


@pytest.mark.parametrize("ground", ["white", "#14181e"])
@pytest.mark.parametrize("color", plots.COLORS)
def test_every_colour_stands_out_from_a_white_and_a_dark_ground(color, ground):
    needed = 2.0 if color in ("group", "other", "sky") else 3.0  # these carry a marker or label
    assert contrast(plots.COLORS[color], ground) >= needed


def test_the_ground_is_transparent_and_jupyter_puts_no_box_behind_it():
    inline = pytest.importorskip("matplotlib_inline.backend_inline")
    figure = plots.histogram([1.0, 2.0]).figure
    for ax in (figure.axes[0], plots.learning_curves({"BN": [2.0, 1.0]})):
        ax.figure.canvas.draw()
    assert figure.get_facecolor()[3] == 0
    assert inline._fetch_figure_metadata(ax.figure) is None


def test_a_series_looks_by_its_meaning_not_by_its_place():
    assert plots.appearance("with BN", 3) == plots.appearance("batch norm", 0)
    assert plots.appearance("without BN") == plots.appearance("plain")
    assert plots.appearance("noise after BN")["color"] != plots.appearance("BN")["color"]
    looks = [plots.appearance(name) for name in ("BN", "plain", "LayerNorm", "GroupNorm")]
    for part in ("color", "linestyle", "marker"):
        assert len({look[part] for look in looks}) == 4


def test_a_series_without_meaning_borrows_no_colour_that_has_one():
    meant = {plots.COLORS[name] for name in ("bn", "plain", "layer", "group")}
    spare = [plots.appearance("batch 8, no dropout", i) for i in range(4)]
    assert meant.isdisjoint(look["color"] for look in spare)
    assert len({look["marker"] for look in spare}) == 4


def test_a_histogram_counts_values_beyond_its_span_in_the_outermost_bins():
    ax = plots.histogram([-9.0, 0.0, 0.0, 9.0], bins=3, span=(-1.5, 1.5))
    density = ax.patches[0].get_data().values
    np.testing.assert_allclose(density, [0.25, 0.5, 0.25])
    assert ax.texts[0].get_text() == "mean 0.00\nstd 6.36"


def test_learning_curves_show_the_mean_and_the_whole_range_of_the_runs():
    ax = plots.learning_curves({"BN": [[4.0, 2.0], [2.0, 0.0]]})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [3.0, 1.0])
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.0, 4.0)


def test_learning_curves_end_the_mean_with_the_shortest_run_and_keep_the_rest_visible():
    ax = plots.learning_curves({"BN": [[3.0, 2.0, 1.0], [3.0, 2.0]]})
    assert sorted(len(line.get_ydata()) for line in ax.lines) == [2, 2, 3]


def test_learning_curves_read_a_history():
    class History:
        train_loss = (2.0, 1.0)
        val_loss = (2.5, 1.5)

    ax = plots.learning_curves(History())
    assert [text.get_text() for text in ax.texts] == ["training", "validation"]


def test_dots_with_spread_print_the_mean_of_every_group():
    ax = plots.dots_with_spread({"BN": [97.0, 98.0], "plain": [96.0, 96.5]}, fmt="{:.2f}")
    assert [text.get_text() for text in ax.texts] == ["97.50", "96.25"]


def test_a_step_table_prints_every_number_in_a_colour_that_is_read_on_its_cell():
    ax = plots.step_table([[-3.0, -0.001], [0.2, 3.0]])
    assert [text.get_text() for text in ax.texts] == ["-3.00", "0.00", "0.20", "3.00"]
    image = ax.images[0]
    for text, value in zip(ax.texts, [-3.0, -0.001, 0.2, 3.0], strict=True):
        cell = mpl.colors.to_hex(image.cmap(image.norm(value)))
        assert contrast(text.get_color(), cell) >= 3.4


def test_step_tables_with_one_limit_share_their_colours():
    strong, weak = plots.step_table([[4.0]], limit=4), plots.step_table([[1.0]], limit=4)
    assert strong.images[0].norm(1.0) == weak.images[0].norm(1.0)


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 1, 28, 28), (3, 784)])
def test_a_digit_grid_takes_images_of_every_shape(shape):
    axes = plots.digit_grid(torch.rand(shape), titles=[7, 2, 1], columns=2)
    assert [ax.get_title() for ax in axes] == ["7", "2", "1"]
    assert axes[0].images[0].get_array().shape == (28, 28)
