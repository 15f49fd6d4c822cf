"""Tests and doctests start as a notebook does: no comparison has been printed yet."""

import sys

import pytest

LONGEST = ["test_print.py", "test_book.py"]  # a worker that began them last would end alone


@pytest.fixture(autouse=True)
def _nothing_printed_before() -> None:
    """Forget what an earlier test of this process printed; `claim` would ask for it."""
    if evidence := sys.modules.get("bnkit.book.evidence"):
        evidence.shown_since_last_claim()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest begin first, and leave the rest in order."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
