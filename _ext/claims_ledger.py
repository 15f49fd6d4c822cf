"""The ``{claims-ledger}`` directive: every claim of the book, as one table.

Verdicts, intervals and p values come from the committed evidence (``bnkit/book/evidence.json``),
the quick numbers from the outputs of the committed notebooks. Neither can drift from its source.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter
from pathlib import Path

from docutils import nodes
from forest_plot import forest_line
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MIME_TYPE = "application/vnd.bnkit.claim+json"
EVIDENCE = Path(__file__).parents[1] / "bnkit" / "book" / "evidence.json"
SYMBOLS = {
    "holds": "✓",
    "holds partly": "◐",
    "does not hold here": "✗",
    "practically no difference": "≈",
    "undecided": "?",
}
HEADINGS = ("Claim", "Verdict", "Full run", "In the page", "Elsewhere", "Chapter")
LINK = re.compile(r"\[([^\]]+)\]\((\S+)\)$")
SCRIPT = """<script>
document.querySelectorAll('.claims-ledger th button').forEach((button, column) => {
  button.onclick = () => {
    const head = button.closest('th'), body = button.closest('table').tBodies[0];
    const up = head.getAttribute('aria-sort') !== 'ascending';
    head.parentNode.querySelectorAll('th').forEach(th => th.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = row => row.cells[column].dataset.key || row.cells[column].textContent;
    const order = (a, b) => key(a).localeCompare(key(b), 'en', {numeric: true});
    [...body.rows].sort((a, b) => (up ? 1 : -1) * order(a, b)).forEach(row => body.append(row));
  };
});
document.querySelectorAll('.ledger-filter input').forEach(input => {
  input.onchange = () => {
    const wanted = document.querySelector('.ledger-filter input:checked').value;
    document.querySelectorAll('.claims-ledger tbody tr').forEach(row => {
      row.hidden = wanted !== '' && row.dataset.verdict !== wanted;
    });
  };
});
</script>"""


def read_claims(notebook: Path) -> list[dict]:
    """The claims recorded in one executed notebook, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [o["data"][MIME_TYPE] for o in outputs if MIME_TYPE in o.get("data", {})]


def collect(folder: Path) -> list[tuple[str, dict]]:
    """All claims of a folder of notebooks as ``(notebook stem, claim)``, in reading order."""
    paths = sorted(folder.glob("*.ipynb"))
    return [(path.stem, row) for path in paths for row in read_claims(path)]


def badge(verdict: str) -> str:
    return f'<span class="verdict">{SYMBOLS[verdict]} {verdict}</span>'


def comparison(row: dict, reach: float) -> str:
    """A comparison of the full run: its label, its forest plot and its numbers."""
    largest = max(abs(row["low"]), abs(row["high"]), row["margin"] or 0, 1e-9)
    digits = max(0, 1 - math.floor(math.log10(largest)))
    mean, low, high = (f"{row[key]:+.{digits}f}" for key in ("mean", "low", "high"))
    p = "p < 0.001" if row["adjusted"] < 0.001 else f"p = {row['adjusted']:.2g}"
    margin = f", margin {row['margin']:g}" if row["margin"] else ""
    more = ""
    if row["outcome"] == "open":
        more = f"; about {row['seeds_to_decide']:,} seeds would decide"
    numbers = f"{mean} {row['unit']} [{low}, {high}], n = {row['n']}, {p}{margin}{more}"
    numbers = re.sub(r"([np]) ([=<]) ", "\\1\u00a0\\2\u00a0", numbers)  # not broken in two
    told = html.escape(row["label"])
    return (
        f'<div class="comparison">{told}{forest_line(row, reach)}'
        f"<small>{html.escape(numbers)}</small></div>"
    )


def comparisons(rows: list[dict]) -> str:
    """All comparisons of a claim; those in one unit share a scale."""
    reach: dict[str, float] = {}
    for row in rows:
        far = max(abs(row["low"]), abs(row["high"]), row["margin"] or 0)
        reach[row["unit"]] = max(far, reach.get(row["unit"], 0))
    return "".join(comparison(row, reach[row["unit"]]) for row in rows)


def full_run(row: dict, full: dict) -> str:
    """What the full run found, or what the page asserts where nothing is random."""
    if full.get("evidence"):
        return comparisons(full["evidence"])
    return "Nothing is random here: the cell asserts it."


def anchor(stem: str, row: dict, text: str) -> str:
    return f'<a href="{stem}.html#claim-{row["id"]}">{text}</a>'


def cells(
    stem: str, row: dict, full: dict, elsewhere: list[tuple[str, dict, dict]]
) -> list[tuple[str, str]]:
    """The six cells of a row as ``(sort key, html)``."""
    verdict, source = full.get("verdict", row["verdict"]), row["source"]
    authors = html.escape(LINK.sub("", source))
    year, link = LINK.search(source).groups()
    cite = f'{authors}<a href="{html.escape(link)}">{html.escape(year)}</a>'
    seeds = f"<br><small>{len(row['seeds'])} seeds</small>" if row["seeds"] else ""
    smallest = min((d["adjusted"] for d in full.get("evidence", [])), default=0)
    number = int(stem.split("_")[0])
    repeated = "".join(
        f"{anchor(s, r, badge(f.get('verdict', r['verdict'])))}{comparisons(f.get('evidence', []))}"
        for s, r, f in elsewhere
    )
    return [
        ("", f"{html.escape(row['statement'])}<br><small>{cite}</small>"),
        (verdict, badge(verdict)),
        (f"{smallest:.9f}", full_run(row, full)),
        ("", html.escape(row["measured"]) + seeds),
        ("", repeated or "–"),
        (f"{number:02}", anchor(stem, row, str(number))),
    ]


def chooser(verdicts: Counter[str]) -> str:
    """Radio buttons that show the claims of one verdict."""
    choices = [("", f"all ({verdicts.total()})")]
    choices += [(v, f"{SYMBOLS[v]} {v} ({verdicts[v]})") for v in SYMBOLS if verdicts[v]]
    inputs = "".join(
        f'<label><input type="radio" name="ledger" value="{value}"'
        f"{' checked' if not value else ''}> {label}</label>"
        for value, label in choices
    )
    return f'<fieldset class="ledger-filter"><legend>Show</legend>{inputs}</fieldset>'


def table(claims: list[tuple[str, dict]], evidence: dict[str, dict]) -> str:
    """The ledger as one HTML table that can be sorted and filtered."""
    head = "".join(f'<th scope="col"><button type="button">{h}</button></th>' for h in HEADINGS)
    body, verdicts = "", Counter()
    for stem, row in claims:
        if row["repeats"]:
            continue
        again = [(s, r, evidence.get(r["id"], {})) for s, r in claims if r["repeats"] == row["id"]]
        content = cells(stem, row, evidence.get(row["id"], {}), again)
        verdicts[content[1][0]] += 1
        tds = "".join(
            f'<td data-key="{key}" data-label="{heading}">{inner}</td>'
            for heading, (key, inner) in zip(HEADINGS, content, strict=True)
        )
        body += f'<tr data-verdict="{content[1][0]}">{tds}</tr>\n'
    return (
        f"{chooser(verdicts)}"
        '<div class="pst-scrollable-table-container claims-ledger" tabindex="0" role="region" '
        'aria-label="Ledger of claims"><table class="table">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>{SCRIPT}"
    )


class ClaimsLedger(SphinxDirective):
    """Insert the ledger of the claims that stand in this page's folder of notebooks."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for path in [*folder.glob("*.ipynb"), EVIDENCE]:
            self.env.note_dependency(str(path))
        claims = collect(folder)
        if not claims:
            return [nodes.paragraph(text="No chapter has recorded a claim yet.")]
        evidence = json.loads(EVIDENCE.read_text(encoding="utf-8"))["claims"]
        return [nodes.raw("", table(claims, evidence), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("claims-ledger", ClaimsLedger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
