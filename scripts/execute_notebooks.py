"""Execute notebooks in place, so that a diff shows what changed and nothing else.

Usage: python scripts/execute_notebooks.py [NOTEBOOK ...]      (default: every chapter)

Each runs in an empty folder, on one thread, with widgets baked into the page. A notebook that fails
is left as it was; the others still run, and the exit status is 1.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

CHAPTERS = Path(__file__).parents[1] / "chapters"
CELL_TIMEOUT = 120  # seconds
ENVIRONMENT = {"BNKIT_WIDGETS": "baked", "OMP_NUM_THREADS": "1", "CI": "true"}


def execute(notebook: NotebookNode, timeout: int | None = CELL_TIMEOUT, **options: object) -> None:
    """Run all cells in a new kernel, in an empty folder; options as `NotebookClient` takes them."""
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
            **options,
        ).execute()


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighboring pieces of one stream: where they break depends on timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def normalize(notebook: NotebookNode) -> None:
    """Drop what differs from machine to machine."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = NotebookNode(name="python")
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)


def renew(path: Path) -> bool:
    """Execute one notebook in place and say how long it took."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    try:
        execute(notebook)
    except (CellExecutionError, CellTimeoutError) as error:
        print(f"{path.name}: failed\n{error}", file=sys.stderr)
        return False
    normalize(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return True


def main(arguments: list[str]) -> int:
    os.environ.update(ENVIRONMENT)
    os.environ.pop("JPY_SESSION_NAME", None)  # set where a person's JupyterLab started us
    paths = [Path(name) for name in arguments] or sorted(CHAPTERS.glob("[0-9]*.ipynb"))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        print(f"no such notebook: {', '.join(missing)}", file=sys.stderr)
        return 2
    return 0 if all([renew(path) for path in paths]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
