"""Train it here: two networks that the reader trains in the page, with or without a kernel."""

from __future__ import annotations

from bnkit.book.page import Html, widget_home
from bnkit.book.train_here_page import checked, described, train_here_html

__all__ = ["train_here"]


def train_here(**settings) -> Html:
    r"""Return two networks that train side by side in the page.

    Both are 784-`width`-…-10 with ReLU, start from the same weights and see the same batches; they
    differ in their norm. The arithmetic is bnkit's, in JavaScript: losses, running statistics and
    gradients agree with it.

    Args:
        **settings: Where to start: ``left`` and ``right`` (``"batch"``, ``"layer"``, ``"group"``
            or ``"none"``), ``depth`` (1 to 6 hidden layers), ``width``, ``optimizer`` (``"sgd"``
            or ``"adam"``), ``lr``, ``batch``, ``scale`` (a factor of the hidden weights),
            ``seed``, and ``statistics`` to validate with (``"running"`` or ``"batch"``).

    Returns:
        HTML that loads the explorable and the digits from the site when asked to; beside a kernel
        it carries both.

    Raises:
        ValueError: If a name is unknown or a value is not among those that the page offers.

    Example:
        >>> train_here(lr=0.1, optimizer="sgd")
        Two networks to train: batch norm and no norm, 784-128-10, SGD at 0.1, batches of 64.

    Source: Ioffe and Szegedy (2015), section 4.1, https://arxiv.org/abs/1502.03167.
    """
    settings = checked(settings)
    alone = widget_home() == "live"
    text = f"Two networks to train: {described(settings)}."
    return Html(train_here_html(alone=alone, **settings), text)
