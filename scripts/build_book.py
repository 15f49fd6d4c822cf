"""Run Jupyter Book's command line without its boxes: `make` says how a build ended.

Usage: python scripts/build_book.py build . --path-output OUT ...

Its boxes repeat what `make` says at the end, and are colored even in a file.
"""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

from jupyter_book import utils
from jupyter_book.cli import main as command


def plain(
    msg: str, color: str = "green", doprint: bool = True, print_func: Callable = print
) -> str:
    """Say what went wrong, and nothing of what went right."""
    text = dedent(msg).strip()
    if doprint and color == "red":
        print_func(text)
    return text


if __name__ == "__main__":
    command._message_box = utils._message_box = plain
    command.main()
