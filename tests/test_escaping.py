"""Whatever text becomes HTML stays text: a hostile string through every entry point."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from chromium import chromium, opened

from bnkit.book import cards
from bnkit.book.claims import claim
from bnkit.book.explore import explore
from bnkit.book.page import Html
from bnkit.book.quiz import choice, predict, quiz
from bnkit.book.registry import EXERCISES
from bnkit.book.result import CheckResult, Sample

EVIL = """<img src=x onerror="window.hacked=1"><script>window.hacked=2</script></script>"'><b>&"""
LINK = 'https://example.org/"onmouseover=window.hacked=3><img/src=x/onerror=window.hacked=4>'


def draw(a):
    return plt.subplots(figsize=(2, 1))[0]


def ledger():
    place = Path(__file__).parents[1] / "_ext" / "claims_ledger.py"
    spec = importlib.util.spec_from_file_location("claims_ledger", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Html(module.table([("02_equations", asdict(hostile_claim()))], hostile_evidence()), "")


def hostile_evidence():
    """A full run whose labels and units are hostile."""
    row = {"label": EVIL, "unit": EVIL, "margin": 0.5, "mean": 0.1, "low": 0.0, "high": 0.2}
    row |= {"adjusted": 0.5, "n": 20, "outcome": "open", "seeds_to_decide": 30}
    return {"evil": {"verdict": "undecided", "evidence": [row]}}


def hostile_claim():
    return claim("evil", EVIL, "holds", EVIL, f"{EVIL}, [{EVIL}]({LINK})")


def hostile_result():
    section = f"02{EVIL}.ipynb#{EVIL}"
    sample = Sample({EVIL: EVIL}, EVIL, EVIL, EVIL)
    return CheckResult(EVIL, "mistake", EVIL, EVIL, section, sample, error=EVIL)


def outputs():
    choices = [choice(EVIL, EVIL, correct=True), choice(EVIL + " 2", EVIL)]
    yield quiz(EVIL, choices)
    yield quiz(EVIL, answer=1.0, feedback={"right": EVIL, "wrong": EVIL, 2.0: EVIL})
    yield predict(EVIL, choices, draw(1), alt=EVIL)
    yield explore(draw, alt=EVIL, caption=EVIL, a={"values": [EVIL], "label": EVIL})
    yield Html(hostile_claim()._repr_mimebundle_()["text/html"], "")
    yield Html(hostile_result()._repr_html_(), "")
    shown = next(iter(EXERCISES.values()))
    evil = replace(shown, title=EVIL, statement=EVIL, hints=(EVIL, EVIL))
    yield cards.bake_card(evil, hostile_result())
    yield cards.bake_progress([evil], EVIL)
    yield ledger()


@pytest.fixture
def page_file(monkeypatch, tmp_path):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>widgets</title><body>'
    file = tmp_path / "page.html"
    text = head + "\n".join(f"<section>{output.source}</section>" for output in outputs())
    file.write_text(text, encoding="utf-8")
    return file


def test_a_hostile_text_stays_text_at_every_entry_point(page_file):
    with chromium() as browser, opened(browser, page_file) as page:
        for button in page.get_by_role("button").all():
            if button.is_visible():
                button.click()
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src='x'], section > b").count() == 0
        sections = page.locator("section").all()
        assert len(sections) == 9
        for number, section in enumerate(sections):
            assert "<script>window.hacked=2</script>" in section.text_content(), number
