"""Run the claim chapters with the full number of seeds and write what they found.

Usage: python scripts/gather_evidence.py [--afresh] [NOTEBOOK ...]   (default: every chapter)

Two notebooks run at a time, each on one thread, only the cells up to their last claim. What a
notebook found is kept in build/evidence until its code changes, so that a run goes on where it was
killed. At the end bnkit/book/evidence.json gets the values, the adjusted p of all comparisons
together and every verdict. --afresh forgets what was kept.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from execute_notebooks import execute
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from bnkit.book.claims import MIME_TYPE
from bnkit.book.ledger import judge
from bnkit.book.seeds import FULL
from bnkit.book.tuning import TUNING_MIME_TYPE
from bnkit.data import digits_here

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "evidence"
LEDGER = ROOT / "bnkit" / "book" / "evidence.json"
JOBS = 2  # notebooks at a time
MEASURES = ("claim(", "tuned(")
NUMBERS = re.compile(r"\[[-+.e\d\s,]+\]")  # a list of numbers takes one line
KEEP = ("label", "unit", "margin", "equal", "step", "values")


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code cells up to the last one that records a claim or a search; none if none does."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    last = [i for i, cell in enumerate(cells) if any(m in cell.source for m in MEASURES)]
    return cells[: last[-1] + 1] if last else []


def fingerprint(cells: list[nbformat.NotebookNode]) -> str:
    text = "\n".join(cell.source for cell in cells)
    return hashlib.sha256(f"{FULL}\n{digits_here()}\n{text}".encode()).hexdigest()[:16]


def measure(path: Path, bar: tqdm) -> dict:
    """Run a notebook's cells with all seeds; the claims and searches that it recorded."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = code_of(notebook)
    start = time.perf_counter()
    execute(notebook, timeout=None, on_cell_executed=lambda **_: bar.update())
    outputs = [o for cell in notebook.cells for o in cell.outputs if "data" in o]
    found = {"claims": [o.data[MIME_TYPE] for o in outputs if MIME_TYPE in o.data]}
    found["tuning"] = [o.data[TUNING_MIME_TYPE] for o in outputs if TUNING_MIME_TYPE in o.data]
    found["run"] = circumstances() | {"minutes": round((time.perf_counter() - start) / 60, 1)}
    return found


def circumstances() -> dict[str, str]:
    """Machine, versions, date and revision."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    revision = subprocess.run(git, text=True, capture_output=True, check=False).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "revision": revision or "unknown",
        "machine": f"{platform.machine()}, {platform.system()}, one thread",
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "data": digits_here(),
    }


def found_by(path: Path, bar: tqdm) -> dict:
    """What a notebook finds, or found when it ran with the same code."""
    cells = code_of(nbformat.read(path, as_version=4))
    kept = KEPT / f"{path.stem}-{fingerprint(cells)}.json"
    if not kept.exists():
        found = measure(path, bar)
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.with_suffix(".part").write_text(json.dumps(found), encoding="utf-8")
        kept.with_suffix(".part").rename(kept)
    else:
        bar.update(len(cells))
    return json.loads(kept.read_text(encoding="utf-8"))


def enter(ledger: dict, stem: str, found: dict) -> None:
    """Put what a notebook found in place of what the ledger had of it."""
    for kind in ("claims", "tuning"):
        old = {i: row for i, row in ledger[kind].items() if row["chapter"] != stem}
        ledger[kind] = old
    for row in found["claims"]:
        kept = {key: row[key] for key in ("verdict", "seeds", "data")} | {"chapter": stem}
        for part in ("evidence", "also"):
            kept[part] = [{key: d[key] for key in KEEP} for d in row[part]]
        ledger["claims"][row["id"]] = kept
    for row in found["tuning"]:
        kept = {"chapter": stem, "seeds": row["seeds"], "scores": rounded(row["scores"])}
        kept["scored"] = row.get("scored", [])
        ledger["tuning"][row["id"]] = kept
    ledger["runs"][stem] = found["run"]


def rounded(scores: dict) -> dict:
    return {
        side: {x: [float(f"{v:.5g}") for v in values] for x, values in grid.items()}
        for side, grid in scores.items()
    }


def write(results: dict[str, dict]) -> dict:
    """Enter the results into the committed file, and judge all claims together."""
    ledger = json.loads(LEDGER.read_text(encoding="utf-8"))
    for stem in sorted(results):
        enter(ledger, stem, results[stem])
    judge(ledger["claims"])
    text = json.dumps(ledger, indent=1, sort_keys=True)
    text = NUMBERS.sub(lambda found: " ".join(found[0].split()), text)
    LEDGER.write_text(text + "\n", encoding="utf-8")
    return ledger


def report(results: dict[str, dict], ledger: dict) -> None:
    """Say each verdict, and where a chapter's text was built on another one."""
    for stem, found in sorted(results.items()):
        for row in found["claims"]:
            full = ledger["claims"][row["id"]]["verdict"]
            note = "" if full == row["verdict"] else f"   <- the text says: {row['verdict']}"
            print(f"{stem[:2]}  {row['id']:48} {full}{note}")


def main(arguments: list[str]) -> int:
    if "--afresh" in arguments:
        shutil.rmtree(KEPT, ignore_errors=True)
    names = [name for name in arguments if name != "--afresh"]
    paths = [Path(n) for n in names] or sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
    os.environ |= {"BNKIT_WIDGETS": "baked", "OMP_NUM_THREADS": "1", "BNKIT_SEEDS": str(FULL)}
    os.environ.pop("JPY_SESSION_NAME", None)
    cells = {path: len(code_of(nbformat.read(path, as_version=4))) for path in paths}
    results, failed = {}, False
    bar = tqdm(total=sum(cells.values()), unit="cell", disable=None)
    with bar, ThreadPoolExecutor(JOBS) as pool:
        jobs = {pool.submit(found_by, path, bar): path for path, n in cells.items() if n}
        for job in as_completed(jobs):
            try:
                results[jobs[job].stem] = job.result()
            except CellExecutionError as error:
                print(f"{jobs[job].name}: failed\n{error}", file=sys.stderr)
                failed = True
    report(results, write(results))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
