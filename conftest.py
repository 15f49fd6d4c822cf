"""Tests and doctests start as a notebook does: no comparison has been printed yet."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _nothing_printed_before() -> None:
    """Forget what an earlier test of this process printed; `claim` would ask for it."""
    if evidence := sys.modules.get("bnkit.book.evidence"):
        evidence.shown_since_last_claim()
