"""Cards of exercises beside a real kernel: under Colab's ipywidgets, and in JupyterLab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from chromium import chromium
from live_kernel import OLD, environment, installed, jupyterlab, notebook, run_all

pytestmark = pytest.mark.live

STUB = """
from bnkit.book.cards import exercise, progress

def to_pytorch(keras_momentum):
    raise NotImplementedError
"""
CARD = 'card = exercise("to_pytorch", to_pytorch)\ncard'
PROGRESS = 'done = progress("03_two_modes")\ndone'
WRONG = "def to_pytorch(keras_momentum):\n    return keras_momentum"
RIGHT = "def to_pytorch(keras_momentum):\n    return 1 - keras_momentum"
HANGS = "def to_pytorch(keras_momentum):\n    while True:\n        pass"
PRESS = """
card.children[1].children[0].click()
print(card.children[2].value)
"""
SUM = """
import ipywidgets
print(ipywidgets.__version__, card.children[0].value, done.children[0].value)
"""


def run(folder: Path, env: dict[str, str], *sources: str) -> list:
    nbclient = pytest.importorskip("nbclient")
    book = notebook(*sources)
    folders = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(book, timeout=60, kernel_name="python3", resources=folders)
    client.execute(env=env)
    return [cell.outputs for cell in book.cells]


def assert_follows(outputs: list, version: str) -> None:
    _, [card], [done], [first], _, [second], _, [third], [words] = outputs
    for shown in (card, done):
        assert "application/vnd.jupyter.widget-view+json" in shown.data
        assert "text/html" not in shown.data
    assert "Not started" in first.text
    assert "momentum left as it is" in second.text
    assert "Passed" in third.text
    assert words.text.startswith(version)
    assert words.text.count("✓ passed, 2 attempts") == 2  # in the card and in the progress
    assert "1 of 3 exercises passed" in words.text


SOURCES = (STUB, CARD, PROGRESS, PRESS, WRONG, PRESS, RIGHT, PRESS, SUM)


def test_a_card_is_live_under_the_ipywidgets_of_colab(request, tmp_path):
    old = installed(OLD, request.config.cache)
    path = os.pathsep.join(filter(None, [str(old), os.environ.get("PYTHONPATH", "")]))
    env = environment(PYTHONPATH=path, BNKIT_WIDGETS="live")
    assert_follows(run(tmp_path, env, *SOURCES), OLD)


def test_a_card_is_live_under_the_current_ipywidgets(tmp_path):
    import ipywidgets

    outputs = run(tmp_path, environment(BNKIT_WIDGETS="live"), *SOURCES)
    assert_follows(outputs, ipywidgets.__version__)


def test_a_hanging_answer_is_stopped_in_a_real_kernel(tmp_path):
    short = "import bnkit.book.cards as live\nlive.LIMIT = 0.5"
    env = environment(BNKIT_WIDGETS="live")
    *_, [stopped], [after] = run(tmp_path, env, STUB, CARD, short, HANGS, PRESS, "print(1)")
    assert "Stopped" in stopped.text
    assert after.text == "1\n"


def test_a_card_is_baked_where_nobody_sits_at_the_kernel(tmp_path):
    _, [card], [done] = run(tmp_path, environment(), STUB, CARD, PROGRESS)
    for shown in (card, done):
        assert set(shown.data) == {"text/html", "text/plain"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    book = notebook(WRONG, STUB.split("\n\n")[0], CARD, PROGRESS)
    with jupyterlab(tmp_path_factory.mktemp("lab"), book) as lab, chromium() as browser:
        yield run_all(browser, lab)


def test_check_and_hints_work_by_keyboard_in_jupyterlab(page):
    card = page.locator(".jp-OutputArea-output .bnkit-exercise")
    card.get_by_role("button", name="Check").focus()
    page.keyboard.press("Enter")
    card.get_by_text("momentum left as it is").wait_for()
    assert "tried, 1 attempt" in page.locator(".bnkit-progress").inner_text()
    card.get_by_role("button", name="Hint 1 of 2").focus()
    page.keyboard.press("Space")
    card.get_by_text("Write down one update").wait_for()
    assert not card.get_by_text("Keras' default is 0.99").is_visible()
    summary = card.get_by_text("Solution", exact=True)
    summary.focus()
    page.keyboard.press("Enter")
    assert card.get_by_role("region", name="Solution of to_pytorch").is_visible()
    if shot := os.environ.get("BNKIT_SHOT"):
        page.screenshot(path=shot)
