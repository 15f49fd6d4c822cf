"""The performance page says what was measured, and its sentences are true of any numbers."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import figure, kept, page, sentences, tables
from bench.__main__ import RESULTS, SECTIONS, main, rounded
from bench.timing import gathered, interleaved
from bnkit import layers

ROOT = Path(__file__).parents[1]
RATES = {
    "plain": [10.0, 10.0, 10.0],
    "floor": [50.0, 50.0, 60.0],
    "lightning": [20.0, 20.0, 25.0],
    "skorch": [40.0, 35.0, 30.0],
    "fit torch": [50.0, 52.0, 54.0],
    "fit bnkit": [50.0, 51.0, 53.0],
}


def norm_row(torch: float, bnkit: float, compiled: float, goal: float = 1.3) -> dict:
    names = {"torch": torch, "bnkit": bnkit, "compiled bnkit": compiled, "compiled torch": compiled}
    return {
        "layer": "BatchNorm2d",
        "shape": [64, 32, 28, 28],
        "pass": "forward and backward",
        "goal": goal,
        "compiled_goal": 1.0,
        "times": {name: [value] * 3 for name, value in names.items()},
    }


def sync_row(processes: int, local: float, sync: float, alone: float) -> dict:
    times = {"local": [local] * 3, "sync": [sync] * 3, "alone": [alone] * 3}
    return {"shape": [64, 128], "processes": processes, "times": times}


@pytest.fixture(scope="module")
def results() -> dict:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_committed_page_is_what_the_committed_numbers_give(results: dict) -> None:
    committed = (ROOT / "chapters" / "performance.md").read_text(encoding="utf-8")
    assert committed == page.render(results)


def test_the_page_has_every_section(results: dict) -> None:
    headings = re.findall(r"^## (.+)$", page.render(results), re.MULTILINE)
    assert headings == [
        "Training",
        "Memory of the data",
        "Batch normalization",
        "Folding at inference",
        "Several processes",
        "How the cost grows",
    ]
    assert set(SECTIONS) <= set(results)


def test_every_ratio_has_at_least_three_repetitions(results: dict) -> None:
    assert min(map(len, results["fit"]["rates"].values())) >= 3
    for name in ("norms", "folding", "sync", "scaling"):
        for row in results[name]:
            assert min(map(len, row["times"].values())) >= 3


def test_every_row_of_a_table_has_the_cells_of_its_header(results: dict) -> None:
    for block in re.findall(r"(?:^\|.+\n)+", page.render(results), re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_figure_is_committed_and_equal_numbers_draw_equal_bytes(results, tmp_path) -> None:
    assert (ROOT / "chapters" / "performance.svg").exists()
    drawn = []
    for name in ("a.svg", "b.svg"):
        figure.draw(results["scaling"], results["sync"], tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0]


def test_the_alt_text_names_the_ends_of_every_line(results: dict) -> None:
    text = figure.alt(results["scaling"], results["sync"])
    assert text.count(" to ") == 3 + 6
    assert "\n" not in text


def test_the_median_is_judged_as_it_is_printed() -> None:
    assert tables.Ratio("a", [1.304, 1.2, 1.4], ("≤", 1.3)).met
    assert not tables.Ratio("a", [1.306, 1.2, 1.4], ("≤", 1.3)).met
    assert not tables.Ratio("a", [1.0, 1.0, 1.0], (">", 1)).met
    assert tables.Ratio("a", [3.2, 3.1, 3.5], ("≥", 3.2)).verdict() == "≥ 3.2, met"


def test_a_ratio_shows_its_median_and_range() -> None:
    assert tables.Ratio("a", [3.0, 1.0, 2.0]).spread() == "2.00\u00a0(1.00\u2060–\u20603.00)"


def test_a_ratio_pairs_the_repetitions_of_one_run() -> None:
    ratio = tables.ratio_of("a", {"x": [2.0, 9.0], "y": [1.0, 3.0]}, "x", "y")
    assert ratio.values == [2.0, 3.0]


def test_met_goals_are_counted() -> None:
    assert sentences.training(RATES).endswith("Both goals are met.")
    assert sentences.floor(RATES).endswith("Both goals are met.")


def test_rounds_on_both_sides_of_one_are_a_tie() -> None:
    uneven = {**RATES, "fit torch": [55.0, 19.0, 55.0]}
    assert tables.training_table(uneven).count("a tie") == 2
    assert tables.training_table(RATES).count("ahead") == 2
    assert sentences.training(uneven).endswith(
        "Rounds against Lightning and skorch fall on both sides of 1: a tie."
    )
    assert "tie" not in sentences.training(RATES)


def test_a_missed_goal_is_named_with_its_number() -> None:
    slow = {**RATES, "fit torch": [29.0, 29.0, 29.0]}
    assert sentences.training(slow).endswith(
        "Of 2 goals 1 is missed: plain recipe, `nn`, 2.90 against ≥ 5.0."
    )
    assert "**missed**" in tables.training_table(slow)
    assert "**behind**" in tables.training_table(slow)
    assert "1.72 times as long as the floor" in sentences.floor(slow)
    assert "1.72 against ≤ 1.15" in sentences.floor(slow)


def test_the_norms_sentence_tells_both_outcomes() -> None:
    forward = {**norm_row(1, 2, 3), "pass": "forward", "goal": None, "compiled_goal": None}
    met, missed = [forward, norm_row(10, 12, 9)], [forward, norm_row(10, 14, 11)]
    assert sentences.norms(met).endswith("1.20 times forward and backward. The goal is met.")
    assert sentences.norms(missed).endswith("1.40 against ≤ 1.3.")
    assert sentences.compiled(met).endswith("The goal is met.")
    assert sentences.compiled(missed).endswith("1.10 against ≤ 1.0.")
    assert "none" in tables.norms_table(met).splitlines()[2]


def test_a_large_input_is_kept_once_and_its_ratio_is_judged() -> None:
    rows = kept.measure()
    large = rows[-1]
    assert large["shape"] == [64, 32, 28, 28]
    assert large["bytes"]["torch"] >= 64 * 32 * 28 * 28 * 4
    assert "≤ 1.05, met" in tables.kept_table(rows)
    heavy = [{**large, "bytes": {"torch": 100, "bnkit": 200}}]
    assert sentences.kept(heavy).endswith("2.00 against ≤ 1.05.")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_of_a_large_input_nothing_else_of_its_size_is_kept(dtype: torch.dtype) -> None:
    x = torch.zeros(64, 32, 28, 28, dtype=dtype).requires_grad_()
    home = {"dtype": torch.float32 if dtype == torch.bfloat16 else dtype}
    ours, theirs = layers.BatchNorm2d(32, **home), nn.BatchNorm2d(32, **home)
    assert kept.kept_by(ours, x) <= 1.05 * kept.kept_by(theirs, x)


def test_the_folding_sentence_does_not_hide_a_slower_net() -> None:
    times = {"torch": [2.0] * 3, "bnkit": [3.0] * 3, "folded": [1.0] * 3}
    row = {"net": "CNN", "batch": 1, "times": times}
    assert sentences.folding([row]).endswith("It is slower nowhere.")
    slow = {**row, "times": {**times, "folded": [2.5] * 3}}
    assert sentences.folding([row, slow]).endswith("Not faster: CNN, batch of 1.")


def test_the_sentence_on_processes_tells_both_outcomes() -> None:
    rows = [sync_row(1, 10, 10, 10), sync_row(2, 10, 30, 20)]
    assert "takes 3.00 times as long as local. Nowhere" in sentences.sync(rows)
    rows.append(sync_row(4, 10, 20, 40))
    assert "2.00 to 3.00 times" in sentences.sync(rows)
    assert sentences.sync(rows).endswith("Faster than one process alone: 4 × (64, 128).")


def test_rendering_changes_no_number(results: dict) -> None:
    before = copy.deepcopy(results)
    page.render(results)
    assert results == before == rounded(results)


def test_steps_take_turns_and_drop_their_gradients() -> None:
    class Leaf:
        grad = 1

    calls, leaf = [], Leaf()
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = interleaved(steps, seconds=0, leaves=[leaf])
    assert set(times) == {"a", "b"}
    assert leaf.grad is None
    turns = [set(calls[i : i + 2]) for i in range(0, len(calls), 2)]
    assert all(turn == {"a", "b"} for turn in turns)


def test_the_times_of_several_runs_are_gathered_by_name() -> None:
    runs = [{"shape": [2], "times": {"a": value}} for value in (1.0, 2.0, 3.0)]
    assert gathered(runs) == {"shape": [2], "times": {"a": [1.0, 2.0, 3.0]}}


def test_an_unknown_section_is_refused_in_one_line(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "got speed" in capsys.readouterr().err.splitlines()[-1]


def test_nothing_but_the_trainers_needs_lightning_or_skorch() -> None:
    importing = re.compile(r"^\s*(?:import|from) (?:lightning|skorch)\b", re.MULTILINE)
    sources = (ROOT / "bench").glob("*.py")
    users = {p.name for p in sources if importing.search(p.read_text(encoding="utf-8"))}
    assert users == {"trainers.py"}
