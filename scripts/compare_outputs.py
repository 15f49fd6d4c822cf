"""Say which outputs of the notebooks differ from those at a git revision, cell by cell.

Usage: python scripts/compare_outputs.py REVISION [NOTEBOOK ...]      (default: every chapter)

Pictures are compared by their pixels' bytes, text by its words. Cells are matched by their id.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def outputs(notebook: dict) -> dict[str, list[dict[str, str]]]:
    """By cell id what a reader sees of each output, by kind."""
    return {
        cell["id"]: [shown(output) for output in cell["outputs"]]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    }


def shown(output: dict) -> dict[str, str]:
    """The parts of an output, each as text."""
    parts = output.get("data") or {output.get("name", "error"): output.get("text", "")}
    return {
        kind: "".join(part) if isinstance(part, list) else json.dumps(part)
        for kind, part in parts.items()
    }


def differences(before: dict, now: dict) -> list[str]:
    """One line for each cell whose outputs differ, are new or gone."""
    lines = []
    for name in dict.fromkeys([*before, *now]):
        if name not in now:
            lines.append(f"{name}: gone" if any(before[name]) else "")
        elif name not in before:
            lines.append(f"{name}: new" if any(now[name]) else "")
        elif before[name] != now[name]:
            kinds = {k for a in (before, now) for o in a[name] for k in o}
            lines.append(f"{name}: differs ({', '.join(sorted(kinds))})")
    return [line for line in lines if line]


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    revision, *names = arguments
    paths = [Path(name).resolve() for name in names]
    for path in paths or sorted((ROOT / "chapters").glob("[0-9]*.ipynb")):
        place = f"{revision}:{path.relative_to(ROOT).as_posix()}"
        old = subprocess.run(["git", "show", place], cwd=ROOT, capture_output=True, check=True)
        found = differences(*(outputs(json.loads(t)) for t in (old.stdout, path.read_bytes())))
        print(f"{path.name}: {len(found)} cells differ", *found, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
