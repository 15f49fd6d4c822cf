"""Time steps that take turns, and time them again in fresh processes.

CPU time counts rather than the clock on the wall, so that a busy neighbor matters less. A process
is fresh because glibc reads its allocator's settings at the start only: without them large tensors
go back to the operating system after every step, and whether they do is a matter of luck.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUIET = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "100000000000",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
}
Steps = dict[str, Callable[[], object]]


def interleaved(steps: Steps, seconds: float, leaves: Iterable = ()) -> dict[str, float]:
    """Median CPU microseconds of each step; every round takes them in another order.

    In a fixed order the step after a given one would always find the same things in the cache.
    Gradients of `leaves` are dropped outside the clock.
    """
    for step in [*steps.values()] * 3:  # the first runs compile and fill caches
        step()
    order, shuffle = list(steps), random.Random(0).shuffle
    times: dict[str, list[float]] = {name: [] for name in steps}
    stop = time.monotonic() + seconds
    while time.monotonic() < stop or len(times[order[0]]) < 3:
        shuffle(order)
        for name in order:
            start = time.process_time()
            steps[name]()
            times[name].append(time.process_time() - start)
            for leaf in leaves:
                leaf.grad = None
    return {name: 1e6 * statistics.median(record) for name, record in times.items()}


def fresh_runs(module: str, runs: int, *arguments: str) -> list[dict]:
    """Run a module of the bench `runs` times; rows of all runs, their times gathered in lists.

    The module prints rows as JSON; the times of a row stand under the key `times`, by name.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **QUIET}
    found = []
    for _ in range(runs):
        run = subprocess.run(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        found.append(json.loads(run.stdout.splitlines()[-1]))
    return [gathered(rows) for rows in zip(*found, strict=True)]


def gathered(rows: Iterable[dict]) -> dict:
    """One row out of the same row of several runs."""
    rows = list(rows)
    times = {name: [row["times"][name] for row in rows] for name in rows[0]["times"]}
    return {**rows[0], "times": times}
