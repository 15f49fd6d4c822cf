"""Measure speed and memory.

`python -m bench` measures all, keeps the numbers in `bench/results.json` and writes the page.
`python -m bench --quick` tries all in a minute or two, and `python -m bench norms sync` measures
these sections alone; both only print.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import torch

from bench import fit, folding, kept, memory, norms, page, scaling, sync

RESULTS = Path(__file__).with_name("results.json")
REPEATS = 3  # at least so many in every section
SECTIONS = {
    "fit": fit.measure,
    "memory": memory.measure,
    "norms": norms.measure,
    "kept": kept.measure,
    "folding": folding.measure,
    "sync": sync.measure,
    "scaling": scaling.measure,
}
QUICK = {
    "fit": {"rounds": REPEATS},
    "norms": {"seconds": 0.3},
    "folding": {"seconds": 0.2},
    "sync": {"steps": 8, "repeats": REPEATS},
    "scaling": {"seconds": 0.1},
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="short and rough")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.sections) - set(SECTIONS):
        parser.error(f"expected sections out of {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    results = measured(chosen.sections or list(SECTIONS), chosen.quick)
    if chosen.sections:
        print(json.dumps(results, indent=1))
    elif chosen.quick:
        print(page.render(results))
    else:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        page.write(results)
        print("Written: bench/results.json, chapters/performance.md and chapters/performance.svg")


def measured(sections: list[str], quick: bool) -> dict:
    results = {"machine": machine(), "cores": os.cpu_count(), "repeats": REPEATS}
    for name in sections:
        start = time.monotonic()
        results[name] = SECTIONS[name](**(QUICK.get(name, {}) if quick else {}))
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return rounded(results)


def rounded(value):
    """Numbers to five digits, which is more than a clock can promise."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def machine() -> str:
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    return f"Python {platform.python_version()} and PyTorch {torch.__version__}, {system}"


if __name__ == "__main__":
    main()
