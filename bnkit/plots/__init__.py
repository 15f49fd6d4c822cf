"""The book's figures: every function takes ``ax=None`` and returns the axes it drew on.

Importing this module makes the book's look (:data:`STYLE`) matplotlib's default.
"""

from bnkit.plots.agreement import loss_drift, reloaded_outputs
from bnkit.plots.curves import learning_curves, loss_surface_contours, stopping_point
from bnkit.plots.descent import descent_path
from bnkit.plots.distributions import (
    dots_with_spread,
    histogram,
    layer_histograms,
    measures_with_spread,
    paired_dots,
)
from bnkit.plots.gradients import (
    backward_graph,
    batches_on_circle,
    errors_by_size,
    gradient_on_circle,
)
from bnkit.plots.landscape import along_the_gradient, gradient_by_layer
from bnkit.plots.machines import merged_shards, shares_over_processes
from bnkit.plots.matrices import confusion_matrix, digit_grid, step_table
from bnkit.plots.rates import learning_panels, over_rates, quantile_drift, training_losses
from bnkit.plots.scales import lengths_by_start, rescaled_paths, start_and_losses
from bnkit.plots.sharing import sharing, sharing_block, sharing_table
from bnkit.plots.statistics import feature_spread, noise_by_size, running_statistics
from bnkit.plots.style import (
    COLORS,
    DIVERGING,
    STYLE,
    appearance,
    new_axes,
    number,
    to_numpy,
    use_style,
)

__all__ = [
    "COLORS",
    "DIVERGING",
    "STYLE",
    "along_the_gradient",
    "appearance",
    "backward_graph",
    "batches_on_circle",
    "confusion_matrix",
    "descent_path",
    "digit_grid",
    "dots_with_spread",
    "errors_by_size",
    "feature_spread",
    "gradient_by_layer",
    "gradient_on_circle",
    "histogram",
    "layer_histograms",
    "learning_curves",
    "learning_panels",
    "lengths_by_start",
    "loss_drift",
    "loss_surface_contours",
    "measures_with_spread",
    "merged_shards",
    "new_axes",
    "noise_by_size",
    "number",
    "over_rates",
    "paired_dots",
    "quantile_drift",
    "reloaded_outputs",
    "rescaled_paths",
    "running_statistics",
    "shares_over_processes",
    "sharing",
    "sharing_block",
    "sharing_table",
    "start_and_losses",
    "step_table",
    "stopping_point",
    "to_numpy",
    "training_losses",
    "use_style",
]

use_style()
