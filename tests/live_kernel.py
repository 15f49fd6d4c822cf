"""A real kernel for tests of live widgets: in JupyterLab, or under an old ipywidgets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest

OLD = "7.7.1"  # the ipywidgets that Colab preinstalls


def notebook(*sources: str) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("BNKIT_WIDGETS", "JPY_SESSION_NAME")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **extra}


def installed(version: str, cache) -> Path:
    """A folder that holds this version of ipywidgets, kept from one run of pytest to the next."""
    folder = Path(cache.mkdir(f"ipywidgets-{version}"))
    if not (folder / "ipywidgets").is_dir():
        packages = [f"ipywidgets=={version}", "ipython_genutils", "widgetsnbextension<4"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        done = subprocess.run(
            [*pip, str(folder), *packages], capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            shutil.rmtree(folder)
            pytest.skip(f"ipywidgets {version} cannot be installed here: is there a network?")
    return folder


@contextmanager
def jupyterlab(home: Path, book: nbformat.NotebookNode, name: str = "live.ipynb") -> Iterator[str]:
    """Address of a notebook in a JupyterLab of its own."""
    pytest.importorskip("jupyterlab")
    nbformat.write(book, home / name)
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
        yield address(home / "RUNTIME", server) + f"lab/tree/{name}?token=bnkit"
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


def run_all(browser, lab: str):
    """The notebook in JupyterLab, all cells run."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(40_000)
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle")  # else the run is forgotten
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    return page
