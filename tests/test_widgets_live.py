"""Widgets beside a real kernel: in JupyterLab, and under the ipywidgets of Colab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from chromium import chromium
from live_kernel import OLD, environment, installed, jupyterlab, notebook, run_all

pytestmark = pytest.mark.live

EXPLORE = r"""
import matplotlib.pyplot as plt
from bnkit import plots
from bnkit.book.explore import explore

def draw(gamma, beta):
    figure, panels = plt.subplots(1, 2, figsize=(6, 2.5))
    for ax in panels:
        ax.plot([-1, 1], [beta - gamma, beta + gamma])
        ax.set(xlabel="x_hat", ylabel="y", ylim=(-4, 4))
    return figure

widget = explore(draw, alt="A line.", caption=r"\( y = \gamma \hat x + \beta \)",
                 gamma=dict(values=[0.5, 1.0, 2.0], default=1.0), beta=[-1, 0, 1])
widget
"""

MOVE = """
import time, ipywidgets
assert plt.get_fignums() == []
image, gamma, beta, *_ = widget.children
seen = [bytes(image.value)]
seconds = []
for at in (0, 1, 2):
    beta.value = at
    for value in (0, 2, 1):
        start = time.process_time()
        gamma.value = value
        seconds.append(time.process_time() - start)
        seen.append(bytes(image.value))
beta.value = 0
print(ipywidgets.__version__, type(image).__name__, gamma.description, beta.description)
print(len(set(seen)), seen[0] == bytes(image.value), all(v.startswith(b"\\x89PNG") for v in seen))
print(f"{min(s for s in seconds if s > 0.005):.3f}")
"""

QUIZ = r"""
from bnkit.book.quiz import choice, quiz
quiz(r"Which is \( \mu \)?", [choice("the mean", "Yes, over the batch.", correct=True),
                              choice("the variance", r"That is \( \sigma^2 \).")])
"""


def run(folder: Path, env: dict[str, str]) -> list:
    """Outputs of the explore cell and of the cell that moves its sliders, in a real kernel."""
    nbclient = pytest.importorskip("nbclient")
    book = notebook(EXPLORE, MOVE)
    client = nbclient.NotebookClient(
        book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=env)
    return [cell.outputs for cell in book.cells]


@pytest.fixture(scope="module")
def old_ipywidgets(request) -> Path:
    return installed(OLD, request.config.cache)


def assert_live(outputs: list, version: str) -> None:
    [shown], [printed] = outputs
    assert "application/vnd.jupyter.widget-view+json" in shown.data
    assert "text/html" not in shown.data
    words, frames, seconds = printed.text.splitlines()
    assert words == f"{version} Image gamma beta"
    assert frames == "9 True True"
    assert float(seconds) < 0.15  # the quickest move that draws two panels, CPU time


def test_explore_is_live_under_the_ipywidgets_of_colab(old_ipywidgets, tmp_path):
    path = os.pathsep.join(filter(None, [str(old_ipywidgets), os.environ.get("PYTHONPATH", "")]))
    outputs = run(tmp_path, environment(PYTHONPATH=path, BNKIT_WIDGETS="live"))
    assert_live(outputs, OLD)


def test_explore_is_live_under_the_current_ipywidgets(tmp_path):
    import ipywidgets

    outputs = run(tmp_path, environment(BNKIT_WIDGETS="live"))
    assert_live(outputs, ipywidgets.__version__)


def test_explore_is_baked_where_nobody_sits_at_the_kernel(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    book = notebook(EXPLORE)
    nbclient.NotebookClient(book, timeout=60, kernel_name="python3").execute(env=environment())
    [shown] = book.cells[0].outputs
    assert set(shown.data) == {"text/html", "text/plain"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab whose folder holds one notebook."""
    with jupyterlab(tmp_path_factory.mktemp("lab"), notebook(EXPLORE, QUIZ)) as address:
        yield address


@pytest.fixture(scope="module")
def page(lab):
    """The notebook in JupyterLab, all cells run."""
    with chromium() as browser:
        yield run_all(browser, lab)


def test_a_slider_moved_by_keyboard_redraws_the_figure_in_jupyterlab(page):
    image = page.locator(".jp-OutputArea-output img").first
    image.wait_for()
    before = image.get_attribute("src")
    page.locator(".jp-OutputArea-output [role=slider]").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([i, s]) => i.src !== s", arg=[image.element_handle(), before])
    readout = page.locator(".jp-OutputArea-output .widget-readout").first
    assert readout.inner_text() == "2"
    assert image.evaluate("image => image.clientWidth") == 600


def test_a_quiz_answers_in_jupyterlab_and_keeps_the_keys_to_itself(page):
    quiz = page.locator(".jp-OutputArea-output .bnkit-quiz")
    quiz.locator("input").first.check()
    active = page.locator(".jp-Cell.jp-mod-active").get_attribute("data-windowed-list-index")
    quiz.locator("input").first.focus()
    page.keyboard.press("ArrowDown")
    assert quiz.locator("input").nth(1).is_checked()
    after = page.locator(".jp-Cell.jp-mod-active").get_attribute("data-windowed-list-index")
    assert after == active
    quiz.locator("button").click()
    said = quiz.get_by_role("status")
    assert "Not quite." in said.inner_text()
    assert said.locator("mjx-container").count() == 1
