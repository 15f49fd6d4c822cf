"""The ``{claims-ledger}`` directive: every claim that the chapters measured, as one table.

The rows come from the outputs of the committed notebooks, so the page cannot drift from them.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MIME_TYPE = "application/vnd.bnkit.claim+json"
SYMBOLS = {"holds": "✓", "holds partly": "◐", "does not hold here": "✗", "undecided": "?"}
HEADINGS = ("Claim", "Verdict", "Measured", "Seeds", "Chapter", "Source")
LINK = re.compile(r"\[([^\]]+)\]\((\S+)\)$")
SORT = """<script>
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


def cells(stem: str, row: dict) -> list[tuple[str, str]]:
    """The six cells of a row as ``(sort key, html)``."""
    verdict, source = row["verdict"], row["source"]
    authors = html.escape(LINK.sub("", source))
    year, link = LINK.search(source).groups()
    number = stem.split("_")[0]
    return [
        ("", html.escape(row["statement"])),
        (verdict, f'<span class="verdict">{SYMBOLS[verdict]} {verdict}</span>'),
        ("", html.escape(row["measured"])),
        ("", str(row["seeds"] or "–")),
        (number, f'<a href="{stem}.html#claim-{row["id"]}">{int(number)}</a>'),
        ("", f'{authors}<a href="{html.escape(link)}">{html.escape(year)}</a>'),
    ]


def table(claims: list[tuple[str, dict]]) -> str:
    """The ledger as one sortable HTML table."""
    head = "".join(f'<th scope="col"><button type="button">{h}</button></th>' for h in HEADINGS)
    body = ""
    for stem, row in claims:
        tds = "".join(
            f'<td data-key="{key}" data-label="{heading}">{content}</td>'
            for heading, (key, content) in zip(HEADINGS, cells(stem, row), strict=True)
        )
        body += f"<tr>{tds}</tr>\n"
    return (
        '<div class="pst-scrollable-table-container claims-ledger" tabindex="0" role="region" '
        'aria-label="Ledger of claims"><table class="table">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>{SORT}"
    )


class ClaimsLedger(SphinxDirective):
    """Insert the ledger of the claims that stand in this page's folder of notebooks."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for path in folder.glob("*.ipynb"):
            self.env.note_dependency(str(path))
        claims = collect(folder)
        if not claims:
            return [nodes.paragraph(text="No chapter has recorded a claim yet.")]
        return [nodes.raw("", table(claims), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("claims-ledger", ClaimsLedger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
