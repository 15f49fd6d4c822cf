"""The page of the book, written from what was measured."""

from __future__ import annotations

from pathlib import Path
from string import Template

from bench import figure, sentences, tables
from bench.fit import BATCH_SIZE, EPOCHS, SAMPLES
from bench.scaling import BATCH, FEATURES
from bench.timing import QUIET

TEMPLATE = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))
CHAPTERS = Path(__file__).parent.parent / "chapters"


def render(results: dict) -> str:
    """The page's text."""
    rates, norms = results["fit"]["rates"], results["norms"]
    growth, sync = results["scaling"], results["sync"]
    return TEMPLATE.substitute(
        machine=results["machine"],
        cores=results["cores"],
        repeats=results["repeats"],
        source=results["fit"]["source"],
        training=tables.training_table(rates),
        training_sentence=sentences.training(rates),
        steps=EPOCHS * SAMPLES // BATCH_SIZE,
        setup=f"{100 * results['fit']['lightning_setup']:.1f}",
        settings=" and ".join(f"`{name}`" for name in QUIET if name.startswith("MALLOC")),
        floor=tables.floor_table(rates),
        floor_sentence=sentences.floor(rates),
        memory=tables.memory_table(results["memory"]),
        memory_sentence=sentences.memory(results["memory"]),
        norms=tables.norms_table(norms),
        norms_sentence=sentences.norms(norms),
        compiled=tables.compiled_table(norms),
        compiled_sentence=sentences.compiled(norms),
        kept=tables.kept_table(results["kept"]),
        kept_sentence=sentences.kept(results["kept"]),
        folding=tables.folding_table(results["folding"]),
        folding_sentence=sentences.folding(results["folding"]),
        sync=tables.sync_table(sync),
        sync_sentence=sentences.sync(sync),
        features=FEATURES,
        batch=BATCH,
        growth_alt=figure.alt(growth, sync),
        growth_sentence=sentences.growth(growth, sync),
    )


def write(results: dict, folder: Path = CHAPTERS) -> None:
    """Write the page and its figure, each whole or not at all."""
    figure.draw(results["scaling"], results["sync"], folder / "performance.svg")
    temporary = folder / "performance.tmp"
    temporary.write_text(render(results), encoding="utf-8")
    temporary.replace(folder / "performance.md")
