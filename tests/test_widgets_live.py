"""Widgets beside a real kernel: in JupyterLab, and under the ipywidgets of Colab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest
from chromium import chromium

pytestmark = pytest.mark.live

OLD = "7.7.1"  # what Colab preinstalls

EXPLORE = r"""
import matplotlib.pyplot as plt
from bnkit import plots
from bnkit.explore import explore

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
from bnkit.quiz import choice, quiz
quiz(r"Which is \( \mu \)?", [choice("the mean", "Yes, over the batch.", correct=True),
                              choice("the variance", r"That is \( \sigma^2 \).")])
"""


def notebook(*sources: str) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("BNKIT_WIDGETS", "JPY_SESSION_NAME")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **extra}


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
    folder = Path(request.config.cache.mkdir(f"ipywidgets-{OLD}"))
    if not (folder / "ipywidgets").is_dir():
        packages = [f"ipywidgets=={OLD}", "ipython_genutils", "widgetsnbextension<4"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        done = subprocess.run(
            [*pip, str(folder), *packages], capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            shutil.rmtree(folder)
            pytest.skip(f"ipywidgets {OLD} cannot be installed here: is there a network?")
    return folder


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
    pytest.importorskip("jupyterlab")
    home = tmp_path_factory.mktemp("lab")
    nbformat.write(notebook(EXPLORE, QUIZ), home / "live.ipynb")
    folders = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "RUNTIME")}
    for kind in ("SETTINGS", "WORKSPACES"):
        folders[f"JUPYTERLAB_{kind}_DIR"] = str(home / kind)
    flags = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port=0"]
    flags += ["--IdentityProvider.token=bnkit", "--LabApp.expose_app_in_browser=True"]
    flags += [f"--ServerApp.root_dir={home}", "--LabApp.extension_manager=readonly"]
    log = (home / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *flags],
        env=environment(**folders),
        stdout=log,
        stderr=log,
        cwd=home,
    )
    try:
        yield address(home / "RUNTIME", server) + "lab/tree/live.ipynb?token=bnkit"
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def address(runtime: Path, server: subprocess.Popen) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text())["url"]
                urlopen(f"{url}api/status?token=bnkit", timeout=5).close()
                return url
            except (OSError, ValueError):
                pass
        time.sleep(0.2)
    pytest.fail("JupyterLab did not start within 60 s")


@pytest.fixture(scope="module")
def page(lab):
    """The notebook in JupyterLab, all cells run."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(40_000)
        page.goto(lab)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_selector("text=Python 3 (ipykernel) | Idle")  # else the run is forgotten
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        yield page


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
