"""Ratios with their spread and their goals, as Markdown tables."""

from __future__ import annotations

import operator
import statistics
from dataclasses import dataclass

COMPARE = {"≥": operator.ge, "≤": operator.le, ">": operator.gt}
NORMS = {"torch": "`nn`", "bnkit": "bnkit"}


@dataclass(frozen=True)
class Ratio:
    """One ratio in each repetition, and the goal that its median should meet."""

    name: str
    values: list[float]
    goal: tuple[str, float] | None = None

    @property
    def median(self) -> float:
        return round(statistics.median(self.values), 2)  # judged as it is printed

    @property
    def met(self) -> bool:
        return self.goal is None or COMPARE[self.goal[0]](self.median, self.goal[1])

    def spread(self) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:.2f}\u00a0({low:.2f}\u2060–\u2060{high:.2f})"  # stays on one line

    def verdict(self) -> str:
        if self.goal is None:
            return "none"
        if self.goal == (">", 1):  # no round against another trainer is "met"
            low, high = min(self.values), max(self.values)
            return "ahead" if low > 1 else "**behind**" if high < 1 else "a tie"
        return f"{self.goal[0]} {self.goal[1]}, {'met' if self.met else '**missed**'}"


def ratio_of(name: str, times: dict, above: str, below: str, goal=None) -> Ratio:
    pairs = zip(times[above], times[below], strict=True)
    return Ratio(name, [a / b for a, b in pairs], goal)


def goals_sentence(ratios: list[Ratio]) -> str:
    """Whether the goals are met, and which are not."""
    with_goal = [ratio for ratio in ratios if ratio.goal]
    missed = [ratio for ratio in with_goal if not ratio.met]
    if not missed:
        few = {1: "The goal is met.", 2: "Both goals are met."}
        return few.get(len(with_goal), f"All {len(with_goal)} goals are met.")
    named = "; ".join(f"{r.name}, {r.median:.2f} against {r.goal[0]} {r.goal[1]}" for r in missed)
    few = f"{len(missed)} is" if len(missed) == 1 else f"{len(missed)} are"
    count = "The goal is" if len(with_goal) == 1 else f"Of {len(with_goal)} goals {few}"
    return f"{count} missed: {named}."


def table(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def median(values: list[float]) -> str:
    """Three digits at least, with thousands separated."""
    value = statistics.median(values)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def both(times: dict, before: str, after: str) -> str:
    """Two medians in one cell, since five columns are too many for a phone."""
    return f"{median(times[before])}\u00a0→\u00a0{median(times[after])}"


def shape_of(row: dict) -> str:
    return "(" + ", ".join(map(str, row["shape"])) + ")"


def training_ratios(rates: dict) -> list[Ratio]:
    goals = {
        ("fit torch", "plain"): ("≥", 5.0),
        ("fit bnkit", "plain"): ("≥", 5.0),
        ("fit torch", "lightning"): (">", 1),
        ("fit torch", "skorch"): (">", 1),
    }
    names = {"plain": "plain recipe", "lightning": "Lightning", "skorch": "skorch"}
    return [
        ratio_of(f"{names[other]}, {NORMS[mine.split()[1]]}", rates, mine, other, goal)
        for (mine, other), goal in goals.items()
    ]


def training_table(rates: dict) -> str:
    used = [("plain", "torch"), ("plain", "bnkit"), ("lightning", "torch"), ("skorch", "torch")]
    rows = [
        [r.name, both(rates, other, f"fit {norm}"), r.spread(), r.verdict()]
        for r, (other, norm) in zip(training_ratios(rates), used, strict=True)
    ]
    return table(["other, layer of `fit`", "other → `fit`", "ratio", "goal"], rows)


def floor_ratios(rates: dict) -> list[Ratio]:
    """Time of `fit` over time of the floor."""
    return [
        ratio_of("`fit` with PyTorch's layer", rates, "floor", "fit torch", ("≤", 1.15)),
        ratio_of("`fit` with bnkit's layer", rates, "floor", "fit bnkit", ("≤", 1.2)),
    ]


def floor_table(rates: dict) -> str:
    rows = [[r.name, r.spread(), r.verdict()] for r in floor_ratios(rates)]
    return table(["what", "time / time of the floor", "goal"], rows)


def memory_table(memory: dict) -> str:
    limit = memory["allowed"]
    allowed = Ratio("", [memory["held"] / limit], ("≤", 1))
    rows = [
        ["loaders and the current batch", memory["held"], allowed.verdict()],
        ["the digits as bytes, plus one batch of floats", limit, "none"],
        ["all digits as floats", memory["as_floats"], "none"],
        ["beside the pixels: labels, order of the split", memory["labels_and_order"], "none"],
    ]
    cells = [[name, f"{size / 1e6:.1f}", f"{size / limit:.2f}", goal] for name, size, goal in rows]
    return table(["what", "MB", "ratio", "goal"], cells)


def norm_ratios(rows: list[dict]) -> list[Ratio]:
    return [
        ratio_of(
            f"{row['layer']} {shape_of(row)}, {row['pass']}",
            row["times"],
            "bnkit",
            "torch",
            ("≤", row["goal"]) if row.get("goal") else None,
        )
        for row in rows
    ]


def norms_table(rows: list[dict]) -> str:
    cells = [
        [input_and_pass(row), both(row["times"], "torch", "bnkit"), r.spread(), r.verdict()]
        for r, row in zip(norm_ratios(rows), rows, strict=True)
    ]
    return table(["input, pass", "`nn` → bnkit, µs", "ratio", "goal"], cells)


def kept_ratios(rows: list[dict]) -> list[Ratio]:
    return [
        Ratio(
            f"kept of {shape_of(row)}",
            [row["bytes"]["bnkit"] / row["bytes"]["torch"]],
            ("≤", row["goal"]) if row["goal"] else None,
        )
        for row in rows
    ]


def kept_table(rows: list[dict]) -> str:
    cells = []
    for r, row in zip(kept_ratios(rows), rows, strict=True):
        sizes = [f"{row['bytes'][kind] / 1e6:.2f}" for kind in ("torch", "bnkit")]
        cells.append([shape_of(row), *sizes, f"{r.median:.2f}", r.verdict()])
    return table(["input", "`nn`, MB", "bnkit, MB", "ratio", "goal"], cells)


def input_and_pass(row: dict) -> str:
    return f"{shape_of(row)}, {row['pass']}"


def compiled_ratios(rows: list[dict]) -> list[Ratio]:
    """Compiled bnkit over PyTorch's layer as it is."""
    return [
        ratio_of(
            f"compiled {row['layer']} {shape_of(row)}, {row['pass']}",
            row["times"],
            "compiled bnkit",
            "torch",
            ("≤", row["compiled_goal"]) if row.get("compiled_goal") else None,
        )
        for row in rows
    ]


def compiled_table(rows: list[dict]) -> str:
    cells = [
        [
            input_and_pass(row),
            r.spread(),
            ratio_of("", row["times"], "compiled bnkit", "compiled torch").spread(),
            r.verdict(),
        ]
        for r, row in zip(compiled_ratios(rows), rows, strict=True)
    ]
    header = ["input, pass", "against `nn`", "against compiled `nn`", "goal"]
    return table(header, cells)


def folding_ratios(rows: list[dict], norm: str = "torch") -> list[Ratio]:
    return [
        ratio_of(f"{row['net']}, batch of {row['batch']}", row["times"], "folded", norm)
        for row in rows
    ]


def folding_table(rows: list[dict]) -> str:
    pairs = zip(folding_ratios(rows), folding_ratios(rows, "bnkit"), rows, strict=True)
    cells = [
        [a.name, both(row["times"], "torch", "folded"), a.spread(), b.spread()]
        for a, b, row in pairs
    ]
    return table(["net, input", "`nn` → folded, µs", "ratio", "ratio with bnkit"], cells)


def sync_ratios(rows: list[dict], below: str = "local") -> list[Ratio]:
    return [
        ratio_of(f"{row['processes']} × {shape_of(row)}", row["times"], "sync", below)
        for row in rows
    ]


def sync_table(rows: list[dict]) -> str:
    pairs = zip(sync_ratios(rows), sync_ratios(rows, "alone"), rows, strict=True)
    cells = [
        [a.name, both(row["times"], "local", "sync"), a.spread(), b.spread()] for a, b, row in pairs
    ]
    header = ["processes × input", "local → sync., µs", "sync. / local", "sync. / alone"]
    return table(header, cells)
