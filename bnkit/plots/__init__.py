"""The figures that several chapters draw; what one chapter alone draws stands in its file.

Every function takes ``ax=None`` and returns the axes it drew on. Importing this module makes the
book's look (:data:`STYLE`) matplotlib's default.
"""

from bnkit.plots.curves import learning_curves, training_losses
from bnkit.plots.distributions import dots_with_spread, histogram, measures_with_spread
from bnkit.plots.matrices import digit_grid, step_table
from bnkit.plots.rates import over_rates
from bnkit.plots.sharing import sharing, sharing_table
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
    "appearance",
    "digit_grid",
    "dots_with_spread",
    "histogram",
    "learning_curves",
    "measures_with_spread",
    "new_axes",
    "number",
    "over_rates",
    "sharing",
    "sharing_table",
    "step_table",
    "to_numpy",
    "training_losses",
    "use_style",
]

use_style()
