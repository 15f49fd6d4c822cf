"""The sentences that read the tables, true whatever the numbers turn out to be."""

from __future__ import annotations

import statistics

from bench import tables
from bench.tables import Ratio, goals_sentence, ratio_of


def span(ratios: list[Ratio]) -> str:
    """The medians' range, or the one number."""
    low, high = min(r.median for r in ratios), max(r.median for r in ratios)
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def training(rates: dict) -> str:
    plain, built, *trainers = tables.training_ratios(rates)
    versus = " and ".join(
        f"{r.median:.2f} times as many as {r.name.split(',')[0]}" for r in trainers
    )
    return (
        f"With PyTorch's layer `fit` trains {plain.median:.1f} times as many samples a second as "
        f"the plain recipe, with bnkit's {built.median:.1f} times as many; it trains {versus}. "
        f"{goals_sentence([plain, built])}{ties(trainers)}"
    )


def ties(ratios: list[Ratio]) -> str:
    """Whose single rounds fall on both sides of 1, where a median says little."""
    even = [r.name.split(",")[0] for r in ratios if min(r.values) < 1 < max(r.values)]
    named = " and ".join(even)
    return f" Rounds against {named} fall on both sides of 1: a tie." if even else ""


def floor(rates: dict) -> str:
    ratios = tables.floor_ratios(rates)
    own, built = (r.median for r in ratios)
    return (
        f"`fit` takes {own:.2f} times as long as the floor; with bnkit's layer, {built:.2f} times. "
        f"{goals_sentence(ratios)}"
    )


def memory(sizes: dict) -> str:
    return (
        "The three loaders share the bytes of the data set and make floats of one batch at a time: "
        f"keeping every digit as floats would take {sizes['as_floats'] / sizes['held']:.1f} times "
        "as much."
    )


def norms(rows: list[dict]) -> str:
    ratios = tables.norm_ratios(rows)
    forward, both = (
        [r for r in ratios if r.name.endswith(end)] for end in (" forward", "backward")
    )
    return (
        f"bnkit's layers take {span(forward)} times as long as PyTorch's forward, and {span(both)} "
        f"times forward and backward. {goals_sentence(ratios)}"
    )


def kept(rows: list[dict]) -> str:
    ratios = tables.kept_ratios(rows)
    return f"bnkit's layers keep {span(ratios)} times as much. {goals_sentence(ratios)}"


def compiled(rows: list[dict]) -> str:
    ratios = tables.compiled_ratios(rows)
    goal = next(r for r in ratios if r.goal)
    return (
        f"Compiled, bnkit's layer takes {span(ratios)} times as long as PyTorch's as it is; "
        f"{goal.median:.2f} times on images, forward and backward. {goals_sentence(ratios)}"
    )


def folding(rows: list[dict]) -> str:
    ratios = tables.folding_ratios(rows)
    slower = [r.name for r in ratios if r.median > 1]
    end = f"Not faster: {'; '.join(slower)}." if slower else "It is slower nowhere."
    return f"Folding leaves {span(ratios)} of the time with PyTorch's layer. {end}"


def sync(rows: list[dict]) -> str:
    several = [
        r for r, row in zip(tables.sync_ratios(rows), rows, strict=True) if row["processes"] > 1
    ]
    alone = [
        r
        for r, row in zip(tables.sync_ratios(rows, "alone"), rows, strict=True)
        if row["processes"] > 1
    ]
    faster = [r.name for r in alone if r.median < 1]
    end = (
        f"Faster than one process alone: {'; '.join(faster)}."
        if faster
        else ("Nowhere is it faster than one process alone with all the batches.")
    )
    return (
        f"In several processes, synchronizing takes {span(several)} times as long as local. {end}"
    )


def growth(rows: list[dict], sync_rows: list[dict]) -> str:
    parts = []
    for what in ("batch", "features"):
        series = [row for row in rows if row["grows"] == what]
        small, large = series[0], series[-1]
        costs = [statistics.median(row["times"]["bnkit"]) for row in (small, large)]
        last = ratio_of("", large["times"], "bnkit", "torch")
        noun = "a batch" if what == "batch" else "a number of features"
        parts.append(
            f"{noun} {large[what] // small[what]} times as large costs bnkit's layer "
            f"{costs[1] / costs[0]:.1f} times as much, and there it takes {last.median:.2f} times "
            "as long as PyTorch's"
        )
    most = max(sync_rows, key=lambda row: (row["processes"], -len(row["shape"])))
    ratio = ratio_of("", most["times"], "sync", "local")
    text = f"{parts[0]}; {parts[1]}. In {most['processes']} processes synchronizing "
    return (
        text[0].upper()
        + text[1:]
        + f"{tables.shape_of(most)} takes {ratio.median:.1f} times as long "
        "as local statistics."
    )
