"""A claim that breaks the protocol is refused, and its data stays in the output."""

import json

import pytest
import torch
from torch import nn

from bnkit.book import claims, ledger, seeds, tuning
from bnkit.book.claims import MIME_TYPE, VERDICTS, claim
from bnkit.book.evidence import Difference, paired_difference, shown_since_last_claim
from bnkit.book.held_out import beside_the_report, reported
from bnkit.book.tuning import TUNING_SEEDS, Tuning, tuned

SOURCE = "Ioffe and Szegedy, [2015](https://arxiv.org/abs/1502.03167)"
CLEAR = Difference((0.9, 1.1, 1.0), "BN minus plain")
OPEN = Difference((1.0, -1.0, 0.2), "BN minus LayerNorm")


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """No evidence, no digits to look for and nothing printed before."""
    monkeypatch.setattr(claims, "read_ledger", lambda: {"claims": {}, "tuning": {}})
    monkeypatch.setattr(claims, "digits_here", lambda: "official")
    monkeypatch.setattr(tuning, "read_ledger", lambda: {"claims": {}, "tuning": {}})
    monkeypatch.delenv("BNKIT_SEEDS", raising=False)
    shown_since_last_claim()
    reported.clear()
    yield
    reported.listen(False)


def make(verdict="holds", evidence=(CLEAR,), **changes):
    words = dict(id="learns-sooner", statement="BN <b>learns</b> sooner.", measured="5 ± 1")
    words |= dict(source=SOURCE, seeds=[0, 1, 2]) | changes
    return claim(verdict=verdict, evidence=evidence, **words)


def with_full_run(monkeypatch, values, verdict="holds", **changes):
    row = {"label": CLEAR.label, "unit": "points", "margin": None, "equal": False, "step": 0.0}
    row |= {"values": values, "adjusted": 0.0001}
    full = {"verdict": verdict, "evidence": [row], "seeds": list(range(20)), "data": "official"}
    known = {"claims": {"learns-sooner": full | changes}, "tuning": {}}
    monkeypatch.setattr(claims, "read_ledger", lambda: known)


TWENTY = [1.0 + 0.1 * (-1) ** i + 0.01 * i for i in range(20)]


@pytest.mark.parametrize("other", sorted(set(VERDICTS) - {"holds"}))
def test_without_a_full_run_the_verdict_is_what_the_live_evidence_says(other):
    assert make().verdict == "holds"
    with pytest.raises(AssertionError, match="does not fit the live evidence, which says 'holds'"):
        make(other)


def test_the_full_run_overrules_the_few_seeds_of_the_page(monkeypatch):
    with_full_run(monkeypatch, TWENTY, "undecided")
    assert make("undecided").verdict == "undecided"
    with pytest.raises(AssertionError, match=r"the full run's evidence, which says 'undecided'"):
        make("holds")


def test_a_live_number_that_contradicts_the_full_run_is_refused(monkeypatch):
    with_full_run(monkeypatch, [value + 3 for value in TWENTY])
    with pytest.raises(AssertionError, match=r"contradicts 4\.1 with 20"):
        make()
    with_full_run(monkeypatch, [value + 3 for value in TWENTY], data="bundled")
    assert make().verdict == "holds", "other digits may give another number"


def test_what_few_seeds_allow_is_no_contradiction(monkeypatch):
    with_full_run(monkeypatch, TWENTY)
    assert make(evidence=[Difference((0.8, 0.9, 1.0), CLEAR.label)]).verdict == "holds"


def test_evidence_of_other_comparisons_has_to_be_gathered_anew(monkeypatch):
    with_full_run(monkeypatch, TWENTY)
    with pytest.raises(AssertionError, match="run make evidence for this chapter"):
        make(evidence=[Difference((0.9, 1.1, 1.0), "BN minus something else")])


def test_while_evidence_is_gathered_no_verdict_is_judged(monkeypatch):
    monkeypatch.setenv("BNKIT_SEEDS", "3")
    assert make("does not hold here").verdict == "does not hold here"


def test_a_comparison_needs_one_value_a_seed():
    with pytest.raises(ValueError, match="one value for each of 3 seeds, received 6"):
        make(evidence=[Difference((1, 2, 3, 1, 2, 3), "pairs counted twice")])
    with pytest.raises(ValueError, match="the seeds of its comparisons, received none"):
        make(seeds=[])


@pytest.mark.parametrize("few", [[0], [0, 1], [0, 0, 1]])
def test_fewer_than_three_different_seeds_are_refused(few):
    with pytest.raises(ValueError, match="3 different seeds"):
        make(seeds=few)


def test_a_comparison_that_was_printed_is_not_left_out():
    text = f"{CLEAR:+.1f}, {OPEN:+.1f}"
    with pytest.raises(ValueError, match=r"received none for \['BN minus LayerNorm'\]"):
        make(measured=text)
    text = f"{CLEAR:+.1f}, {OPEN:+.1f}"
    row = make(measured=text, also=[OPEN])
    assert [d["label"] for d in row.also] == ["BN minus LayerNorm"]


def test_a_comparison_that_was_made_and_never_shown_is_not_left_out_either():
    hidden = paired_difference([1, 2, 3], [3, 1, 2], "one that did not fit the story")
    with pytest.raises(ValueError, match=r"received none for \['one that did not fit the story'\]"):
        make()
    assert paired_difference([1, 2, 3], [3, 1, 2], hidden.label) == hidden
    assert make(also=[hidden]).also[0]["mean"] == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_one_comparison_under_two_names_is_refused(sign):
    again = Difference(tuple(sign * v for v in CLEAR.values), "the same under another name")
    with pytest.raises(ValueError, match="received the same values for 'BN minus plain' and"):
        make(evidence=[CLEAR, again])


def test_a_margin_that_was_changed_after_the_evidence_is_refused(monkeypatch):
    with_full_run(monkeypatch, TWENTY)
    with pytest.raises(
        AssertionError, match=r"\(0.5, False\), but the evidence was judged by \(None"
    ):
        make(evidence=[Difference((0.9, 1.1, 1.0), CLEAR.label, margin=0.5)])


def test_two_comparisons_of_one_label_are_refused():
    with pytest.raises(ValueError, match="one comparison a label"):
        make(evidence=[CLEAR, Difference((0.8, 1.1, 1.2), CLEAR.label)])


GRID = {0.1: [1.0] * 3, 0.3: [2.0] * 3, 1.0: [1.5] * 3}


def test_a_seed_that_chose_the_rate_does_not_report():
    search = Tuning("rates", {"BN": GRID}, [2, 100, 101])
    with pytest.raises(ValueError, match=r"tuning seeds that no report uses, received \[2\]"):
        make(tuning=[search])
    assert not set(TUNING_SEEDS) & set(range(seeds.FULL))


def test_fewer_than_three_tuning_seeds_are_refused():
    with pytest.raises(ValueError, match=r"expected 3 tuning seeds, received \[100\]"):
        make(tuning=[Tuning("rates", {"BN": GRID}, [100])])


def test_a_best_rate_at_an_edge_has_to_be_said():
    search = Tuning("rates", {"BN": GRID, "plain": {0.1: [3.0], 0.3: [1.0]}}, [100, 101, 102])
    with pytest.raises(ValueError, match=r"or edge=True, received an edge for \['plain'\]"):
        make(tuning=[search])
    assert search.best("plain", edge=True) == 0.1
    assert make(tuning=[search]).tuning == ["rates"]


DIGITS = torch.rand(60, 784, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def score(net, digits):
    return net.eval()(digits).argmax(1).float().mean().item()


def search_on(net, digits):
    return tuned("rates", lambda seed: {"BN": {x: x * (1 - x) * score(net, digits) for x in GRID}})


def test_digits_that_chose_a_rate_do_not_report():
    net = nn.Linear(784, 10)
    search = search_on(net, DIGITS[:30])
    search.best("BN", edge=True)
    score(net, DIGITS[30:])
    assert make(tuning=[search]).tuning == ["rates"]
    score(net, DIGITS[27:])
    with pytest.raises(ValueError, match=r"digits that no report uses, received 3 of 30 sampled"):
        make(tuning=[search])


def test_digits_to_train_or_to_calibrate_on_are_no_report():
    net = nn.Sequential(nn.Linear(784, 10), nn.BatchNorm1d(10))
    search = search_on(net, DIGITS[:30])
    search.best("BN", edge=True)
    net.train()(DIGITS[:30]).sum().backward()
    with beside_the_report():
        score(net, DIGITS[:30])
    assert make(tuning=[search]).tuning == ["rates"]


def test_without_evidence_a_claim_takes_any_verdict():
    assert make("holds partly", (), seeds=[]).verdict == "holds partly"


@pytest.mark.parametrize(
    "changes", [{"verdict": "proved"}, {"id": "Learns Sooner"}, {"source": "somebody"}]
)
def test_malformed_words_are_refused_with_what_was_received(changes):
    received = next(iter(changes.values()))
    with pytest.raises(ValueError, match=f"received '{received}'"):
        make(**changes)


def test_the_output_holds_the_data_and_escapes_the_statement():
    bundle = make()._repr_mimebundle_()
    data = json.loads(json.dumps(bundle[MIME_TYPE]))
    assert data["id"] == "learns-sooner" and data["evidence"][0]["values"] == [0.9, 1.1, 1.0]
    assert "&lt;b&gt;" in bundle["text/html"] and "Verdict: ✓ holds" in bundle["text/html"]
    assert "Verdict: holds" in bundle["text/plain"]
    assert "BN minus plain: +1.0 points [+0.8, +1.2]" in bundle["text/plain"]


def test_the_callout_quotes_the_full_run_beside_the_live_number(monkeypatch):
    with_full_run(monkeypatch, TWENTY)
    text = make()._repr_mimebundle_()["text/plain"]
    assert "20 seeds" in text and "BN minus plain: +1.1" in text
    assert "In this run, with 3 seeds: 5 ± 1" in text


def test_a_comparison_that_decides_nothing_has_its_twenty_seeds_beside_the_verdict(monkeypatch):
    row = {"label": "LayerNorm minus plain", "unit": "points", "margin": None, "equal": False}
    row |= {"step": 0.0, "values": TWENTY}
    full = {"ours": {"evidence": [], "also": [row]}}
    ledger.judge(full)
    assert full["ours"]["also"][0]["n"] == 20 and "adjusted" not in row
    with_full_run(monkeypatch, TWENTY, also=[row])
    text = make()._repr_mimebundle_()["text/plain"]
    assert "- beside the verdict: LayerNorm minus plain: +1.1" in text


def test_seeds_are_few_in_the_page_and_as_many_as_asked_for_in_the_ledger(monkeypatch):
    assert seeds.seeds(3) == [0, 1, 2]
    monkeypatch.setenv("BNKIT_SEEDS", "20")
    assert seeds.seeds(3) == list(range(20))


def searched(seed):
    return {"BN": {0.1: 1.0 + seed, 0.3: 3.0 + seed, 1.0: 2.0}, "plain": {0.1: 2.0, 0.3: 1.0}}


def test_a_search_gives_each_side_its_best_rate_and_refuses_an_edge(monkeypatch):
    monkeypatch.setattr(tuning, "read_ledger", lambda: {"tuning": {}})
    found = tuned("rates", searched)
    assert found.seeds == list(TUNING_SEEDS) and found.scores["BN"][0.3] == [103.0, 104.0, 105.0]
    assert found.best("BN") == 0.3
    with pytest.raises(ValueError, match=r"rates, plain: best at 0.1, an edge of \[0.1, 0.3\]"):
        found.best("plain")
    assert found.best("plain", edge=True) == 0.1
    assert "0.3" in found._repr_mimebundle_()["text/html"]


def test_the_page_takes_the_search_of_the_ledger_and_does_not_search(monkeypatch):
    known = {"tuning": {"rates": {"scores": {"BN": {"0.1": [1.0], "0.3": [2.0]}}, "seeds": [7]}}}
    monkeypatch.setattr(tuning, "read_ledger", lambda: known)
    assert tuned("rates", None).scores == {"BN": {0.1: [1.0], 0.3: [2.0]}}
    monkeypatch.setenv("BNKIT_SEEDS", "20")
    assert tuned("rates", searched).seeds == list(TUNING_SEEDS)


def test_the_committed_verdicts_follow_from_the_committed_values():
    known = ledger.read_ledger()["claims"]
    again = json.loads(json.dumps(known))
    ledger.judge(again)
    assert again == known
