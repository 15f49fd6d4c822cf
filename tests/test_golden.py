"""What a check says of every known mistake, word for word, as it was when the catalogue was frozen.

``python tests/test_golden.py`` freezes it anew, after a change that is meant.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bnkit.book.exercise import Exercise, Mistake, examine
from bnkit.book.registry import EXERCISES

GOLDEN = Path(__file__).parent / "golden" / "catalogue.json"
FROZEN = json.loads(GOLDEN.read_text(encoding="utf-8"))


def told(exercise: Exercise, mistake: Mistake) -> dict:
    """What the check says of a mistake, in the first of its versions."""
    result = examine(exercise, exercise.build(mistake.versions[0]))
    return {
        "status": result.status,
        "mistake": result.mistake,
        "hint": result.hint,
        "section": result.section,
        "error": (result.error or "").split("\n")[0] or None,
        "rows": [list(row) for row in result.sample.rows()] if result.sample else [],
    }


@pytest.mark.parametrize("name", FROZEN)
def test_every_mistake_is_told_as_before(name: str) -> None:
    exercise = EXERCISES[name]
    known = {mistake.name: mistake for mistake in exercise.mistakes}
    assert list(FROZEN[name]) == [n for n in known if n in FROZEN[name]]
    for mistake, before in FROZEN[name].items():
        assert told(exercise, known[mistake]) == before, mistake


def freeze() -> None:
    """Write what is told now."""
    now = {e.name: {m.name: told(e, m) for m in e.mistakes} for e in EXERCISES.values()}
    text = json.dumps(now, indent=1, ensure_ascii=False)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    freeze()
