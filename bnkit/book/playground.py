"""The playground: a mini-batch that can be dragged, with or without a kernel.

One ES module, ``static/playground.js``, draws it in two homes: a live
`anywidget <https://anywidget.dev>`_ whose traits Python reads and sets, and plain HTML that carries
the module with it.
"""

from __future__ import annotations

from bnkit.book.page import Html, widget_home
from bnkit.book.playground_page import (
    DEFAULTS,
    MAX_SIZE,
    MIN_SIZE,
    STATIC,
    checked,
    playground_html,
)

try:
    import anywidget
    import traitlets
except ImportError:  # the plain page needs neither
    anywidget = None

__all__ = ["Playground", "playground"]


def playground(**state) -> Playground | Html:
    r"""Return the playground, live beside a kernel or baked into the page.

    The picture shows three number lines. The values :math:`x_i` of a mini-batch can be dragged; the
    lines below follow:

    .. math::
        \hat{x}_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
        y_i = \gamma \hat{x}_i + \beta.

    In ``train()`` the mean and the biased variance are those of the batch, and each new batch moves
    the running statistics by PyTorch's rule (momentum 0.1 weights the *new* value; the stored
    variance is unbiased). In ``eval()`` the running statistics take their place.

    Args:
        **state: Where to start: ``x`` (2 to 16 values), ``gamma``, ``beta``, ``eps``,
            ``training``, ``running_mean``, ``running_var``, ``num_batches_tracked``,
            ``population_mean``, ``population_sd`` (of the batches drawn by "next batch") and
            ``seed``.

    Returns:
        A :class:`Playground` widget where widgets are live and anywidget is installed, else the
        same picture as self-contained HTML.

    Raises:
        ValueError: If a name is unknown or a value is out of range.

    Example:
        >>> playground(x=[1.0, 3.0, 8.0])
        A mini-batch of 3 values that can be dragged, with its normalized values below.

    Source: Ioffe and Szegedy (2015), Algorithm 1, https://arxiv.org/abs/1502.03167.
    """
    state = checked(state)
    if widget_home() == "live" and anywidget is not None:
        return Playground(**state)
    size = len(state["x"])
    text = f"A mini-batch of {size} values that can be dragged, with its normalized values below."
    return Html(playground_html(**state), text)


if anywidget is not None:

    class Playground(anywidget.AnyWidget):
        """The live playground: what the reader moves, Python reads, and the reverse.

        Every argument of :func:`playground` is a synced trait of the same name.

        Example:
            >>> widget = Playground(x=[1.0, 3.0])
            >>> widget.gamma = 2.0
            >>> widget.training
            True
        """

        _esm = STATIC / "playground.js"
        _css = STATIC / "playground.css"
        x = traitlets.List(traitlets.CFloat(), DEFAULTS["x"], minlen=MIN_SIZE, maxlen=MAX_SIZE).tag(
            sync=True
        )
        gamma = traitlets.CFloat(DEFAULTS["gamma"]).tag(sync=True)
        beta = traitlets.CFloat(DEFAULTS["beta"]).tag(sync=True)
        eps = traitlets.CFloat(DEFAULTS["eps"], min=1e-12).tag(sync=True)
        training = traitlets.Bool(DEFAULTS["training"]).tag(sync=True)
        running_mean = traitlets.CFloat(DEFAULTS["running_mean"]).tag(sync=True)
        running_var = traitlets.CFloat(DEFAULTS["running_var"], min=0.0).tag(sync=True)
        num_batches_tracked = traitlets.CInt(DEFAULTS["num_batches_tracked"]).tag(sync=True)
        population_mean = traitlets.CFloat(DEFAULTS["population_mean"]).tag(sync=True)
        population_sd = traitlets.CFloat(DEFAULTS["population_sd"], min=0.0).tag(sync=True)
        seed = traitlets.CInt(DEFAULTS["seed"]).tag(sync=True)
