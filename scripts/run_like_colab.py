"""Run notebooks as Google Colab does: each alone, bnkit absent, Colab's versions, live widgets.

Usage: python scripts/run_like_colab.py WHEEL [NOTEBOOK ...]      (default: every chapter)

A virtual environment gets the versions of tests/colab_pins.txt. Torch, which is too large to be
installed twice, is linked from this Python's packages. Each notebook lies in an empty folder
beside the wheel; its own first cell has to install bnkit, and there is no network for it.
A deprecation warning out of bnkit is an error.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINS = ROOT / "tests" / "colab_pins.txt"
LINKED = {"torch", "torchvision", "tqdm"}  # from this Python, with what they need
CELL_TIMEOUT = 300  # seconds
STRICT = (
    "import warnings\n"
    "for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):\n"
    '    warnings.filterwarnings("error", category=kind, module=r"bnkit(\\.|$)")\n'
)


def pins() -> list[Requirement]:
    """Read the versions that Colab has."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def needed(names: set[str]) -> set[str]:
    """Collect packages and all that they require here."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        wanted = (Requirement(text) for text in requires)
        waiting |= {r.name for r in wanted if not r.marker or r.marker.evaluate({"extra": ""})}
        waiting -= found
    return found


def link_packages(target: Path, names: set[str]) -> None:
    """Link the top-level files and folders of installed packages into a folder."""
    target.mkdir()
    for name in names:
        files = distribution(name).files or []
        for entry in {file.parts[0] for file in files if ".." not in file.parts}:
            source = Path(distribution(name).locate_file(entry))
            if source.exists() and not (target / entry).exists():
                (target / entry).symlink_to(source)


def make_environment(folder: Path) -> Path:
    """Make the virtual environment, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pinned = {pin.name for pin in pins()}
    install = [str(pin) for pin in pins() if pin.name not in LINKED]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *install], check=True)
    link_packages(folder / "linked", needed(LINKED) - (pinned - LINKED))
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], check=True, text=True, capture_output=True)
    Path(site.stdout.strip(), "linked.pth").write_text(f"{folder / 'linked'}\n")
    return python


def prepare_kernel(folder: Path, python: Path) -> None:
    """Describe the kernel, with warnings from bnkit as errors and no way to a network."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-strict.py").write_text(STRICT)
    spec = folder / "jupyter" / "kernels" / "colab"
    spec.mkdir(parents=True)
    nowhere = "http://127.0.0.1:9"
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    settings = {"BNKIT_WIDGETS": "live", "OMP_NUM_THREADS": "1", "PIP_NO_INDEX": "1"}
    settings |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    settings |= {"IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": "", "NO_PROXY": "127.0.0.1"}
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "like Colab", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel | {"env": offline | settings}))
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")


def run(path: Path, wheel: Path, python: Path) -> bool:
    """Run one notebook alone, and say how it went."""
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "--yes", "bnkit"], check=True, stderr=subprocess.DEVNULL)
    notebook, start = nbformat.read(path, as_version=4), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(wheel, folder)
        shutil.copy(path, folder)
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook, timeout=CELL_TIMEOUT, kernel_name="colab", resources=resources
        )
        try:
            client.execute()
        except CellExecutionError as error:
            failed = max((c for c in notebook.cells if c.get("outputs")), key=_count).id
            print(f"{path.name}: failed in cell {failed}\n{error}", file=sys.stderr, flush=True)
            return False
    print(f"{path.name}: passed in {time.perf_counter() - start:.0f} s", flush=True)
    return True


def _count(cell: nbformat.NotebookNode) -> int:
    return cell.get("execution_count") or 0


def main(wheel: str, *names: str) -> int:
    paths = [Path(name) for name in names] or sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(Path(folder))
        prepare_kernel(Path(folder), python)
        return 0 if all([run(path, Path(wheel).resolve(), python) for path in paths]) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
