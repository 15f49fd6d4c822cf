"""What known mistakes and slips look like, found when the book is built and only read in a page.

One answer is compared with some hundred mistakes. To run them all takes seconds in a page, so their
results come along as data, a file of JSON for each exercise. The checks and their words are still
those of the notebook; an exercise without a file computes what it compares.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from bnkit.book.exercise import Exercise
from bnkit.book.observe import Observation

__all__ = ["FOLDER", "Seen", "baked", "stored"]

FOLDER = Path(__file__).parent / "baked"
DIGITS = 6  # of each number: a check compares three

Table = dict[str, int]  # what has been stored, and at which place


def _number(value: float) -> float | int:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def _place(table: Table, what: object) -> int:
    """The place of something in a table, where everything stands once."""
    return table.setdefault(json.dumps(what), len(table))


def _value(found: object) -> object:
    if isinstance(found, torch.Tensor):
        return [list(found.shape), [_number(v) for v in found.flatten().tolist()]]
    return found


def _packed(seen: Observation, table: Table) -> int:
    facets = [[name, _place(table, _value(found))] for name, found in seen.facets.items()]
    words = [seen.error, seen.cause, seen.returned]
    return _place(table, [facets, words, seen.stub])


def stored(exercise: Exercise) -> str:
    """All that an exercise compares answers with, as JSON."""
    table: Table = {}
    found = {
        "known": [[_packed(seen, table) for seen in run] for _, run in exercise.known],
        "slips": [
            [slip.name, slip.hint, [_packed(seen, table) for seen in run]]
            for slip, run in exercise.slips
        ],
    }
    return json.dumps(found | {"table": [json.loads(each) for each in table]})


class _File:
    """What a file holds, made into tensors and observations when somebody asks, and once."""

    def __init__(self, text: str) -> None:
        found = json.loads(text)
        self.known, self.slips = found["known"], found["slips"]
        self.table, self.made = found["table"], {}

    def value(self, place: int) -> object:
        """A result: a tensor, a text, or None."""
        found = self.table[place]
        if not isinstance(found, list):
            return found
        if place not in self.made:
            shape, values = found
            self.made[place] = torch.tensor(values, dtype=torch.float64).reshape(shape)
        return self.made[place]

    def observation(self, place: int) -> Observation:
        """What one probe saw."""
        if place not in self.made:
            facets, (error, cause, returned), stub = self.table[place]
            values = {name: self.value(at) for name, at in facets}
            self.made[place] = Observation(values, error, cause, returned, (), stub)
        return self.made[place]


class Seen(Sequence[Observation]):
    """What each probe saw of one mistake."""

    def __init__(self, file: _File, places: Sequence[int]) -> None:
        self.file, self.places = file, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Observation:
        return self.file.observation(self.places[index])


def baked(name: str) -> tuple[list[Seen], list[tuple[str, str, Seen]]] | None:
    """What each known mistake and each slip of an exercise looks like; None where no file is."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return None
    file = _File(path.read_text(encoding="utf-8"))
    known = [Seen(file, places) for places in file.known]
    return known, [(name, hint, Seen(file, places)) for name, hint, places in file.slips]
