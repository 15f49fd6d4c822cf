"""Measure speed and memory: `python -m bench` prints them and writes a page of the book."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path

import torch

from bench.fit import data_memory, fit_ratios
from bench.norms import norm_ratios

PAGE = Path(__file__).parent.parent / "chapters" / "performance.md"
REPEATS = 3

TEMPLATE = """\
# Speed and memory

What bnkit's code costs beside PyTorch's own and beside the usual recipe. `make bench` measures it
and writes this page; nothing here is typed by hand. Each ratio compares two things measured in one
run, in turns, on one thread and by CPU time; the range of its repetitions stands in brackets.
Measured with {machine}.

## Training

Samples a second while the reference network trains on {source} MNIST digits in batches of 64: the
plain recipe (torchvision's dataset with `ToTensor`, a `DataLoader`, default Adam) against
{{py:func}}`bnkit.training.fit` with bnkit's loaders, which keep the digits as bytes in memory, and
`Adam(fused=True)`.

{training}

{training_sentence}

## Memory of the data

{memory}

{memory_sentence}

## Batch normalization, forward and backward

Microseconds of one forward and one backward pass of a layer in training mode; a ratio of 1 would be
PyTorch's own speed.

{norms}

{norms_sentence}
"""


def main() -> None:
    training, memory, norms = fit_ratios(), data_memory(), repeated_norms()
    sections = {
        "machine": machine(),
        "source": memory["source"],
        "training": training_table(training),
        "training_sentence": training_sentence(training),
        "memory": memory_table(memory),
        "memory_sentence": memory_sentence(memory),
        "norms": norms_table(norms),
        "norms_sentence": norms_sentence(norms),
    }
    for name in ("machine", "training", "memory", "norms"):
        print(sections[name], end="\n\n")
    temporary = PAGE.with_suffix(".tmp")  # no half-written page
    temporary.write_text(TEMPLATE.format(**sections), encoding="utf-8")
    temporary.replace(PAGE)
    print(f"Written to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


def machine() -> str:
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    return f"Python {platform.python_version()} and PyTorch {torch.__version__}, {system}"


def table(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f})"


def training_table(rows: list[dict]) -> str:
    header = ["layer", "plain recipe, samples/s", "`fit`, samples/s", "`fit` / plain", "goal"]
    names = {"torch": "`nn.BatchNorm1d`", "bnkit": "`bnkit.layers.BatchNorm1d`"}
    cells = [
        [
            names[row["norm"]],
            f"{statistics.median(row['plain']):,.0f}",
            f"{statistics.median(row['bnkit']):,.0f}",
            spread(row["ratios"]),
            f"≥ {row['limit']}",
        ]
        for row in rows
    ]
    return table(header, cells)


def training_sentence(rows: list[dict]) -> str:
    torch_row, bnkit_row = (statistics.median(row["ratios"]) for row in rows)
    return (
        f"With the same layer on both sides `fit` trains {torch_row:.1f} times as many samples a "
        f"second; with bnkit's layer, which the book builds by hand, {bnkit_row:.1f} times as many."
    )


def memory_table(memory: dict) -> str:
    limit = memory["allowed"]
    rows = [
        ["loaders and the current batch", memory["held"]],
        ["the digits as bytes, plus one batch of floats (goal: at most this)", limit],
        ["all digits as floats", memory["as_floats"]],
        ["kept beside the pixels: labels and the order of the split", memory["labels_and_order"]],
    ]
    cells = [[name, f"{size / 1e6:.1f}", f"{size / limit:.2f} ×"] for name, size in rows]
    return table(["what", "MB", "ratio"], cells)


def memory_sentence(memory: dict) -> str:
    ratio = memory["as_floats"] / memory["held"]
    return (
        "The three loaders share the bytes of the data set and make floats of one batch at a time: "
        f"keeping every digit as floats would take {ratio:.1f} times as much."
    )


def repeated_norms() -> list[dict]:
    runs = [norm_ratios() + norm_ratios(compiled=True) for _ in range(REPEATS)]
    merged = []
    for rows in zip(*runs, strict=True):
        times = {key: statistics.median(r[key] for r in rows) for key in ("torch_us", "bnkit_us")}
        merged.append({**rows[0], **times, "ratios": [row["ratio"] for row in rows]})
    return merged


def norms_table(rows: list[dict]) -> str:
    header = ["layer and input", "PyTorch, µs", "bnkit, µs", "bnkit / PyTorch", "goal"]
    cells = [
        [
            f"{row['name']}, {tuple(row['shape'])}",
            f"{row['torch_us']:,.0f}",
            f"{row['bnkit_us']:,.0f}",
            spread(row["ratios"]),
            f"≤ {row['limit']}",
        ]
        for row in rows
    ]
    return table(header, cells)


def norms_sentence(rows: list[dict]) -> str:
    medians = [statistics.median(row["ratios"]) for row in rows if "compiled" not in row["name"]]
    compiled = [statistics.median(row["ratios"]) for row in rows if "compiled" in row["name"]]
    return (
        f"Written in Python over plain tensor operations, bnkit's layers take {min(medians):.1f} "
        f"to {max(medians):.1f} times as long as PyTorch's compiled C++; `torch.compile` brings "
        f"images to {compiled[0]:.1f} times."
    )


if __name__ == "__main__":
    main()
