"""Both error rates of `bnkit.doctor`, for its page.

`python -m bench.doctor` measures them and what an examination costs, keeps the numbers in
`bench/doctor.json`, and writes `chapters/doctor.md`. `--page` writes the page alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

from bench import doctor_page, doctor_zoo
from bench.doctor_cases import twins
from bench.doctor_nets import train
from bench.doctor_zoo import LONGER, ZOO, build, images, passes, situations, timed
from bnkit.doctor import Report
from bnkit.doctor.registry import CHECKS

RESULTS = Path(__file__).with_name("doctor.json")
TIMED = ("mobilenet_v3_small", "resnet18", "efficientnet_b0")
ROUNDS = 5


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.doctor", description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page alone")
    if not parser.parse_args(arguments).page:
        results = {"injected": injected(), "cost": cost(), "trained": trained()}
        results["healthy"] = healthy()
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    doctor_page.write(json.loads(RESULTS.read_text(encoding="utf-8")), CHECKS)


def above_note(report: Report) -> list[str]:
    return sorted({f.check for f in report.findings if f.rank < 2})


def outcome(name: str, twin: Report, ill: Report) -> dict[str, object]:
    """Whether a fault was found, and what else was said."""
    found = {f.check for f in ill.findings}
    others = [n for n in above_note(ill) if n != name and n not in above_note(twin)]
    healthy = above_note(twin) + [name for f in twin.findings if f.check == name]
    return {"found": name in found, "others": others, "twin": sorted(set(healthy))}


def injected() -> dict[str, dict]:
    results: dict[str, dict] = {}
    for name, size, case in twins():
        twin, ill = case.visits(size)
        results.setdefault(name, {})[size] = outcome(name, twin.report(), ill.report())
    print(f"{len(results)} faults injected", flush=True)
    return results


def healthy(names: tuple[str, ...] = ZOO) -> dict[str, dict]:
    results = {}
    for name in names:
        each = {}
        for situation, report, _ in situations(name):
            each[situation] = {"layers": len(report.layers), "above note": above_note(report)}
        results[name] = each
        print(name, each, flush=True)
    return results


def trained(names: tuple[str, ...] = LONGER, steps: int = doctor_zoo.LONG) -> dict[str, dict]:
    """Models that have learned their images: what is said of them, and how much they learned."""
    results = {}
    for name in names:
        model, loader = build(name), images(name)
        train(model, loader, steps, doctor_zoo.LONG_LR)
        results[name] = {"steps": steps, "right": round(doctor_zoo.right(model, loader), 1)}
        for situation, report, _ in doctor_zoo.used(model, loader):
            results[name][situation] = above_note(report)
        print(name, results[name], flush=True)
    return results


def cost() -> dict[str, list[float]]:
    """CPU time of an examination over that of as many forward and backward passes."""
    ratios = {}
    for name in TIMED:
        model, loader = train(build(name), images(name), steps=1), images(name)
        rounds = []
        for _ in range(ROUNDS):
            plain = passes(model, loader)
            rounds.append(timed(model, loader)[1] / plain)
        ratios[name] = [round(r, 3) for r in sorted(rounds)]
        print(name, statistics.median(ratios[name]), flush=True)
    return ratios


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
