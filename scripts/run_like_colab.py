"""Run notebooks as Google Colab does: each alone, bnkit absent, Colab's versions, live widgets.

Usage: python scripts/run_like_colab.py WHEEL [NOTEBOOK ...]      (default: every chapter)

A virtual environment gets the versions of tests/colab_pins.txt. It is made by Colab's Python, if
$COLAB_PYTHON names one or the path has one, and then holds Colab's torch too. Where either cannot
be had, this Python's torch is linked into it. Each notebook lies in an empty folder beside the
wheels of bnkit and of DATA; its own first cell has to install them, and there is no network for it.
A deprecation warning out of bnkit or out of a cell is an error. Two notebooks run at a time, each
in an environment of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from queue import SimpleQueue

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINS = ROOT / "tests" / "colab_pins.txt"
COLAB_PYTHON = "3.13"
DATA = ("mnist1d",)  # what a notebook's first cell installs from PyPI beside bnkit
LINKED = {"torch", "torchvision", "tqdm"}  # from this Python, with what they need
CELL_TIMEOUT = 300  # seconds
JOBS = 2  # notebooks at a time; each computes in one thread
STARTUP = r"""
import sys, warnings

for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
    warnings.filterwarnings("error", category=kind, module=r"(bnkit|__main__)(\.|$)")

def refuse(event, arguments, loopback=("127.0.0.1", "::1", "localhost")):
    if event == "socket.connect" and isinstance(address := arguments[1], tuple):
        if address[0] not in loopback:
            raise OSError(f"no network here: {address}")

sys.addaudithook(refuse)
"""
VERSIONS = """
import platform, sys
from importlib.metadata import version
print(f"python {platform.python_version()}", *(f"{n} {version(n)}" for n in sys.argv[1:]), sep=", ")
"""


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


def colab_python() -> str | None:
    """Find a Python of Colab's version that runs."""
    for name in (os.environ.get("COLAB_PYTHON"), f"python{COLAB_PYTHON}", sys.executable):
        command = [name, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        with contextlib.suppress(OSError, TypeError):
            done = subprocess.run(command, text=True, capture_output=True, check=False)
            if done.stdout.strip() == COLAB_PYTHON:
                return name
    return None


def make_venv(folder: Path, base: str, install: list[str]) -> Path:
    """Make a virtual environment that holds these packages, and return its Python."""
    subprocess.run([base, "-m", "venv", "--clear", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *install], check=True)
    return python


def make_linked_venv(folder: Path) -> Path:
    """Make a virtual environment of this Python, with a link to this torch."""
    install = [str(pin) for pin in pins() if pin.name not in LINKED]
    python = make_venv(folder, sys.executable, install)
    link_packages(folder / "linked", needed(LINKED) - ({pin.name for pin in pins()} - LINKED))
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], check=True, text=True, capture_output=True)
    Path(site.stdout.strip(), "linked.pth").write_text(f"{folder / 'linked'}\n")
    return python


def make_environment(folder: Path) -> Path:
    """Make the environment nearest to Colab's, say what it holds, and return its Python."""
    os.environ.pop("PYTHONPATH", None)  # it could lead to bnkit
    base, python = colab_python(), None
    if base:
        with contextlib.suppress(subprocess.CalledProcessError):
            python = make_venv(folder, base, [str(pin) for pin in pins()])
    if not python:
        print("Colab's Python or torch is not to be had here: taking this one's.", flush=True)
        python = make_linked_venv(folder)
    subprocess.run([python, "-c", VERSIONS, *(pin.name for pin in pins())], check=True)
    return python


def prepare_kernel(folder: Path, python: Path, name: str = "colab") -> None:
    """Describe a kernel, with warnings from bnkit as errors and no way to a network."""
    startup = folder / name / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-strict.py").write_text(STARTUP)
    spec = folder / "jupyter" / "kernels" / name
    spec.mkdir(parents=True)
    nowhere = "http://127.0.0.1:9"
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    settings = {"BNKIT_WIDGETS": "live", "OMP_NUM_THREADS": "1", "PIP_NO_INDEX": "1"}
    settings |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    settings |= {"IPYTHONDIR": str(folder / name), "PYTHONPATH": "", "NO_PROXY": "127.0.0.1"}
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "like Colab", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel | {"env": offline | settings}))
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")


def execute(notebook: nbformat.NotebookNode, folder: str, kernel: str = "colab") -> str | None:
    """Run all cells in a new kernel; return what went wrong and where, if anything."""
    cells = ["none yet"]
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=kernel,
        resources={"metadata": {"path": folder}},
        on_cell_start=lambda cell, cell_index: cells.append(f"{cell_index} ({cell.id})"),
    )
    try:
        client.execute()
    except (CellExecutionError, TimeoutError, DeadKernelError) as error:
        return f"failed in cell {cells[-1]}\n{error}"
    return None


def run(path: Path, wheels: list[Path], python: Path, kernel: str) -> bool:
    """Run one notebook alone, and say how it went."""
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    remove = ["uninstall", "--yes", "bnkit", *DATA]
    subprocess.run([*pip, *remove], check=True, stderr=subprocess.DEVNULL)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for wheel in wheels:
            shutil.copy(wheel, folder)
        shutil.copy(path, folder)
        failure = execute(nbformat.read(path, as_version=4), folder, kernel)
    if failure:
        print(f"{path.name}: {failure}", file=sys.stderr, flush=True)
    else:
        print(f"{path.name}: passed in {time.perf_counter() - start:.0f} s", flush=True)
    return not failure


def download(folder: Path) -> list[Path]:
    """Fetch the wheels that a chapter takes from PyPI, since no notebook here has a network."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--dest", folder / "wheels", *DATA], check=True)
    return sorted((folder / "wheels").glob("*.whl"))


def main(wheel: str, *names: str) -> int:
    paths = [Path(name) for name in names] or sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
    free: SimpleQueue[tuple[Path, str]] = SimpleQueue()

    def run_in_a_free_one(path: Path) -> bool:
        python, kernel = free.get()
        try:
            return run(path, wheels, python, kernel)
        finally:
            free.put((python, kernel))

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in [f"colab-{number}" for number in range(min(JOBS, len(paths)))]:
            (home := Path(folder, f"env-{name}")).mkdir()
            python = make_environment(home)
            prepare_kernel(Path(folder), python, name)
            free.put((python, name))
        wheels = [Path(wheel).resolve(), *download(Path(folder))]
        with ThreadPoolExecutor(JOBS) as pool:
            return 0 if all(list(pool.map(run_in_a_free_one, paths))) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
