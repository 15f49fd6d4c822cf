"""The ledger page: every claim that a chapter owes is recorded, once, with its margin."""

import importlib.util
import re
from pathlib import Path

import pytest

from bnkit.book.claims import MIME_TYPE, Difference, claim

ROOT = Path(__file__).parents[1]
OWED = {
    "07_speed_and_learning_rate": [
        "accelerates-training",
        "permits-higher-learning-rates",
        "normalized-weights-take-any-rate",
        "stabilizes-training",
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
}


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ledger = load("claims_ledger")
RECORDED = ledger.collect(ROOT / "chapters")
BIBLIOGRAPHY = (ROOT / "references.bib").read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("chapter", OWED)
def test_a_chapter_records_every_claim_that_it_owes(chapter):
    ids = [row["id"] for stem, row in RECORDED if stem == chapter]
    assert set(OWED[chapter]) <= set(ids), f"{chapter} records only {ids}"


def test_no_claim_is_recorded_twice():
    ids = [row["id"] for _, row in RECORDED]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("stem", "row"), RECORDED, ids=lambda value: str(value)[:40])
def test_a_committed_verdict_still_has_its_margin(stem, row):
    evidence = [Difference(**d) for d in row["evidence"]]
    again = claim(**{**row, "evidence": evidence})
    assert again.verdict == row["verdict"]


@pytest.mark.parametrize(("stem", "row"), RECORDED, ids=lambda value: str(value)[:40])
def test_a_claim_is_measured_and_its_source_stands_in_the_bibliography(stem, row):
    assert re.search(r"\d", row["measured"]), "no number"
    assert row["seeds"] >= 3 or not row["seeds"]
    work = re.search(r"arxiv\.org/abs/([\d.]+)|doi\.org/([^)]+)", row["source"])
    assert (work[1] or work[2]).lower() in BIBLIOGRAPHY


def test_a_number_over_seeds_shows_its_evidence():
    bare = [row["id"] for _, row in RECORDED if row["seeds"] and not row["evidence"]]
    assert bare == ["folding-is-exact"], "these compare with zero, not with another side"


def test_the_table_has_a_row_for_each_claim_and_a_link_to_its_callout():
    row = claim(
        "learns-sooner",
        "BN <b>learns</b> sooner.",
        "holds",
        "5 ± 1",
        "Ioffe and Szegedy, [2015](https://arxiv.org/abs/1502.03167)",
        seeds=3,
    )
    data = row._repr_mimebundle_()[MIME_TYPE]
    text = ledger.table([("07_speed_and_learning_rate", data)])
    assert text.count("<tr>") == 2
    assert 'href="07_speed_and_learning_rate.html#claim-learns-sooner"' in text
    assert "&lt;b&gt;" in text and '<a href="https://arxiv.org/abs/1502.03167">2015</a>' in text
