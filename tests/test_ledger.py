"""The ledger page: every claim that a chapter owes is recorded, once, with its margin."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from forest_plot import forest_line

from bnkit.book.claims import MIME_TYPE, Claim
from bnkit.book.seeds import FULL

ROOT = Path(__file__).parents[1]
OWED = {
    "07_speed_and_learning_rate": [
        "accelerates-training",
        "permits-higher-learning-rates",
        "normalized-weights-take-any-rate",
        "stabilizes-training",
        "gains-come-from-higher-rates",
    ],
    "08_initialization": [
        "reduces-dependence-on-initialization",
        "weights-scale-invariant",
        "weight-decay-acts-as-learning-rate",
        "gamma-beta-learned",
    ],
    "09_regularization": [
        "regularizes",
        "batch-noise-regularizes",
        "combines-with-dropout",
        "combines-with-l1-l2",
        "dropout-shifts-bn-variance",
    ],
    "10_why_it_works": [
        "reduces-internal-covariate-shift",
        "smooths-loss-landscape",
        "helps-very-deep-networks",
        "gradients-explode-in-deep-bn-nets",
    ],
    "11_batch_size": [
        "small-batches-hurt",
        "layer-and-group-norm-better-for-small-batches",
        "accumulation-is-not-a-larger-batch",
        "ghost-batches-help",
        "freeze-bn-when-fine-tuning",
    ],
    "12_train_test_mismatch": [
        "unsuited-to-online-learning",
        "one-class-batches-break-bn",
        "stale-statistics",
        "reestimated-statistics-rescue-shifted-data",
    ],
    "13_alternatives": ["one-function-different-axes", "instance-norm-ignores-contrast"],
    "14_architectures": [
        "placed-before-activation",
        "normalized-before-the-addition",
        "bias-before-bn-is-redundant",
        "widely-used-in-cnns",
        "used-in-transformers-such-as-bert",
        "layer-norm-better-for-sequences",
    ],
    "15_inference": ["extra-work-at-inference", "folding-is-exact"],
    "17_many_machines": [
        "plain-ddp-is-not-large-batch",
        "sync-bn-equals-large-batch",
        "sync-bn-helps-small-per-device-batches",
    ],
    "18_elsewhere": [
        "elsewhere-accelerates-training",
        "elsewhere-permits-higher-learning-rates",
        "elsewhere-reduces-dependence-on-initialization",
        "elsewhere-regularizes",
        "elsewhere-batch-noise-regularizes",
        "elsewhere-small-batches-hurt",
        "elsewhere-layer-and-group-norm-better-for-small-batches",
        "elsewhere-placed-before-activation",
    ],
}


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ledger = load("claims_ledger")
RECORDED = ledger.collect(ROOT / "chapters")
EVIDENCE = json.loads((ROOT / "bnkit/book/evidence.json").read_text(encoding="utf-8"))
BIBLIOGRAPHY = (ROOT / "references.bib").read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("chapter", OWED)
def test_a_chapter_records_every_claim_that_it_owes(chapter):
    ids = [row["id"] for stem, row in RECORDED if stem == chapter]
    assert set(OWED[chapter]) <= set(ids), f"{chapter} records only {ids}"


def test_no_claim_is_recorded_twice():
    ids = [row["id"] for _, row in RECORDED]
    assert len(ids) == len(set(ids))


IDS = {"ids": lambda value: value["id"] if isinstance(value, dict) else value[:2]}


@pytest.mark.parametrize(("stem", "row"), RECORDED, **IDS)
def test_a_verdict_in_the_text_is_the_one_of_the_full_run(stem, row):
    full = EVIDENCE["claims"][row["id"]]
    assert full["chapter"] == stem
    assert row["verdict"] == full["verdict"]
    assert [d["label"] for d in row["evidence"]] == [d["label"] for d in full["evidence"]]


@pytest.mark.parametrize(("stem", "row"), RECORDED, **IDS)
def test_the_full_run_has_twenty_seeds_on_the_official_digits(stem, row):
    full = EVIDENCE["claims"][row["id"]]
    assert full["data"] == "official"
    assert len(full["seeds"]) == (FULL if row["seeds"] else 0)
    assert all(d["n"] == FULL for d in full["evidence"])


@pytest.mark.parametrize(("stem", "row"), RECORDED, **IDS)
def test_a_claim_is_measured_and_its_source_stands_in_the_bibliography(stem, row):
    assert re.search(r"\d", row["measured"]), "no number"
    work = re.search(r"arxiv\.org/abs/([\d.]+)|doi\.org/([^)]+)", row["source"])
    assert (work[1] or work[2]).lower() in BIBLIOGRAPHY


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_callout_shows_the_numbers_of_the_ledger_as_it_is_now(path):
    """One new comparison changes the adjusted p of all others."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if row := data.get(MIME_TYPE):
                now = Claim(**row, full=EVIDENCE["claims"][row["id"]])._repr_mimebundle_()
                assert "".join(data["text/plain"]) == now["text/plain"], row["id"]
                assert "".join(data["text/html"]) == now["text/html"], row["id"]


def test_the_evidence_holds_no_claim_that_no_chapter_makes():
    assert set(EVIDENCE["claims"]) == {row["id"] for _, row in RECORDED}
    used = {name for _, row in RECORDED for name in row["tuning"]}
    assert set(EVIDENCE["tuning"]) >= used


def test_every_chapter_of_the_evidence_says_when_and_where_it_ran():
    stems = {full["chapter"] for full in EVIDENCE["claims"].values()}
    assert set(EVIDENCE["runs"]) == stems
    for run in EVIDENCE["runs"].values():
        assert {"date", "machine", "minutes", "python", "revision", "torch"} <= set(run)
        assert run["revision"] != "unknown"


def test_tuning_seeds_report_nothing():
    for name, search in EVIDENCE["tuning"].items():
        assert not set(search["seeds"]) & set(range(FULL)), name


COMPARISON = {"label": "BN <i>minus</i> plain", "unit": "points", "margin": 0.5, "mean": 0.1}
COMPARISON |= {"low": -0.4, "high": 0.6, "n": 20, "adjusted": 1.0, "outcome": "open"}
COMPARISON |= {"seeds_to_decide": 120}
WORDS = {"statement": "BN <b>learns</b> sooner.", "verdict": "undecided", "measured": "5 ± 1"}
WORDS |= {"source": "Ioffe and Szegedy, [2015](https://arxiv.org/abs/1502.03167)"}
ROWS = [
    ("07_speed", WORDS | {"id": "learns-sooner", "seeds": [0, 1, 2], "repeats": ""}),
    ("18_elsewhere", WORDS | {"id": "again", "seeds": [0, 1, 2], "repeats": "learns-sooner"}),
]
TABLE = ledger.table(
    ROWS,
    {
        "learns-sooner": {"verdict": "undecided", "evidence": [COMPARISON]},
        "again": {"verdict": "holds", "evidence": [COMPARISON]},
    },
)


def test_the_table_has_a_row_for_each_claim_and_a_link_to_its_callout():
    assert TABLE.count("<tr") == 2, "a repetition on other data is a column, not a row"
    assert 'href="07_speed.html#claim-learns-sooner"' in TABLE
    assert 'href="18_elsewhere.html#claim-again"' in TABLE and "✓ holds" in TABLE
    assert "&lt;b&gt;" in TABLE and '<a href="https://arxiv.org/abs/1502.03167">2015</a>' in TABLE


def test_a_row_shows_interval_seeds_adjusted_p_and_what_would_decide():
    assert "+0.10 points [-0.40, +0.60], n = 20, p = 1, margin 0.5" in TABLE.replace("\u00a0", " ")
    assert "about 120 seeds would decide" in TABLE


def test_the_ledger_can_be_filtered_by_verdict():
    assert 'value="undecided"' in TABLE and 'data-verdict="undecided"' in TABLE


def test_a_forest_line_puts_the_estimate_within_its_interval_and_names_it():
    line = forest_line(COMPARISON, reach=0.6)
    x = [float(v) for v in re.findall(r'(?:x1|cx|x2)="([\d.]+)"', line)]
    zero, _, low, high, estimate = x
    assert low < zero < estimate < high and zero == 75
    assert 'aria-label="BN &lt;i&gt;minus&lt;/i&gt; plain: 0.1, from -0.4 to 0.6"' in line


def test_no_class_of_the_ledger_is_one_that_the_theme_takes_for_a_margin():
    classes = {name for text in re.findall(r'class="([^"]+)"', TABLE) for name in text.split()}
    assert not classes & {"margin", "marginnote", "sidenote", "full-width", "sidebar", "popout"}
