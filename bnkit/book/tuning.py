"""Every side at its best rate: a search on seeds of its own, kept with the evidence.

`make evidence` searches. The page shows what was found and searches only what is not there.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from bnkit.book.held_out import reported, scored_by
from bnkit.book.ledger import read_ledger
from bnkit.book.seeds import gathering

__all__ = ["TUNING_MIME_TYPE", "TUNING_SEEDS", "Tuning", "tuned"]

TUNING_MIME_TYPE = "application/vnd.bnkit.tuning+json"
TUNING_SEEDS = (100, 101, 102)  # no report uses them
_CELL = "padding:.1rem .5rem;text-align:right"


@dataclass(frozen=True)
class Tuning:
    """Scores of each side at each setting of its grid; shows itself as a table.

    Attributes:
        id: a slug, unique in the book.
        scores: side -> setting -> one score a tuning seed; higher is better.
        seeds: the tuning seeds.
        scored: a sample of the examples that gave the scores, one number each.
        said: sides whose best setting was taken although it may be an edge of the grid.

    Example:
        >>> t = Tuning("demo", {"BN": {0.1: [90.0], 0.3: [92.0], 1.0: [91.0]}}, [100])
        >>> t.best("BN")
        0.3
    """

    id: str
    scores: dict[str, dict[float, list[float]]]
    seeds: list[int]
    scored: list[int] = field(default_factory=list)
    said: set[str] = field(default_factory=set, compare=False, repr=False)

    def means(self, side: str) -> dict[float, float]:
        """The mean score of a side at each setting, in the order of the grid."""
        return {x: sum(v) / len(v) for x, v in sorted(self.scores[side].items())}

    def best(self, side: str, *, edge: bool = False) -> float:
        """The setting with the highest mean score.

        Args:
            side: a key of ``scores``.
            edge: whether the best may be the lowest or highest of the grid. Then say so.

        Raises:
            ValueError: if it is an edge of the grid, and ``edge`` is not set.
        """
        best = self._top(side)
        if edge:
            self.said.add(side)
        elif self._is_edge(side, best):
            grid = list(self.means(side))
            raise ValueError(f"{self.id}, {side}: best at {best:g}, an edge of {grid}")
        return best

    def unsaid_edges(self) -> list[str]:
        """Sides whose best setting is an edge of their grid, which nobody said."""
        sides = self.scores.keys() - self.said
        return sorted(side for side in sides if self._is_edge(side, self._top(side)))

    def _top(self, side: str) -> float:
        means = self.means(side)
        return max(means, key=means.__getitem__)

    def _is_edge(self, side: str, setting: float) -> bool:
        grid = self.scores[side]
        return setting in (min(grid), max(grid))

    def _rows(self) -> list[list[str]]:
        grid = sorted({x for side in self.scores.values() for x in side})
        rows = [["", *(f"{x:g}" for x in grid)]]
        for side in self.scores:
            means, best = self.means(side), self._top(side)
            marks = [
                f"{means[x]:.4g}{'*' if x == best else ''}" if x in means else "" for x in grid
            ]
            rows.append([side, *marks])
        return rows

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        head, *rows = self._rows()
        cells = "".join(f"<th scope='col' style='{_CELL}'>{text}</th>" for text in head)
        body = "".join(_row(*row) for row in rows)
        caption = f"Mean score on {len(self.seeds)} tuning seeds; the best of each side is bold"
        table = f"<table><caption>{caption}</caption><thead><tr>{cells}</tr></thead>{body}</table>"
        table = f"<div style='overflow-x:auto' tabindex='0'>{table}</div>"
        plain = "\n".join("  ".join(f"{text:>9}" for text in row) for row in self._rows())
        plain += "\n* the best of its row"
        data = {name: value for name, value in asdict(self).items() if name != "said"}
        return {TUNING_MIME_TYPE: data, "text/html": table, "text/plain": plain}


def _row(side: str, *scores: str) -> str:
    """A row of the table; the best score carries a star."""
    texts = (f"<b>{text[:-1]}</b>" if text.endswith("*") else text for text in scores)
    cells = "".join(f"<td style='{_CELL}'>{text}</td>" for text in texts)
    return f"<tr><th scope='row'>{html.escape(side)}</th>{cells}</tr>"


def tuned(id: str, search: Callable[[int], Mapping[str, Mapping[float, float]]]) -> Tuning:
    """The search of each side's best setting, as the ledger has it, else done now.

    Args:
        id: a slug, unique in the book.
        search: gets a tuning seed and returns, for each side, a score at each setting of the
            grid (higher is better), measured on digits that no report uses.

    Returns:
        A :class:`Tuning`. As the last line of a cell it shows the table.

    Example:
        >>> tuned("no-such-id", lambda seed: {"BN": {0.1: 1.0, 0.3: 2.0, 1.0: 0.0}}).best("BN")
        0.3
    """
    known = read_ledger()["tuning"].get(id)
    if known and not gathering():
        scores = {
            side: {float(x): v for x, v in grid.items()} for side, grid in known["scores"].items()
        }
        scored = known.get("scored", [])
        if scored:
            reported.listen()
        return Tuning(id, scores, known["seeds"], scored)
    found: dict[str, dict[float, list[float]]] = {}
    with scored_by() as scored:
        for seed in TUNING_SEEDS:
            for side, grid in search(seed).items():
                for setting, score in grid.items():
                    found.setdefault(side, {}).setdefault(float(setting), []).append(float(score))
    return Tuning(id, found, list(TUNING_SEEDS), scored.sample())
