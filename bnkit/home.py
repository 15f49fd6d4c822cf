"""Where a notebook runs: beside a person's kernel, or on its way to a page."""

from __future__ import annotations

import os
import sys

__all__ = ["widget_home"]


def widget_home() -> str:
    """Say whether widgets are ``"live"`` (a person sits at a kernel) or ``"baked"`` into the page.

    Returns:
        The value of ``$BNKIT_WIDGETS`` where set; else live in JupyterLab, Colab and VS Code.

    Raises:
        ValueError: the variable has another value.

    Example:
        >>> widget_home() in ("live", "baked")
        True
    """
    chosen = os.environ.get("BNKIT_WIDGETS", "")
    if chosen not in ("", "live", "baked"):
        raise ValueError(f"got BNKIT_WIDGETS={chosen!r}, expected 'live' or 'baked'")
    in_lab = bool(os.environ.get("JPY_SESSION_NAME"))
    in_colab = "google.colab" in sys.modules
    return chosen or ("live" if in_lab or in_colab or _in_vscode() else "baked")


def _in_vscode() -> bool:
    """Whether VS Code's notebook editor started this kernel: it leaves the file's name there."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "__vsc_ipynb_file__" in shell.user_ns
