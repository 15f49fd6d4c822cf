"""Answers that the catalogue was not written from: right ones pass, wrong ones hear a true name.

A file of ``tests/unforeseen`` holds the answers to the exercise of its name. A block begins with a
line ``=== right LABEL``, and the source follows; or with ``=== wrong LABEL: name | other name``,
and what follows is a change ``old => new`` of the right answer of that label, one a line, or, for
the label ``-``, a source. A verdict that holds one of the names is true.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bnkit.book.exercise import execute
from bnkit.book.registry import check

FILES = sorted((Path(__file__).parent / "unforeseen").glob("*.txt"))


def blocks(text: str) -> list[tuple[str, str]]:
    """First line and body of each block."""
    found = re.split(r"^=== ", text, flags=re.MULTILINE)[1:]
    return [tuple(block.split("\n", 1)) for block in found]


def changed(source: str, changes: str) -> str:
    """A source with every change made, wherever its text occurs."""
    for line in filter(str.strip, changes.split("\n")):
        old, new = (part.replace("\\n", "\n") for part in line.split(" =>", 1))
        assert old in source, line
        source = source.replace(old, new.removeprefix(" ").removesuffix("\\"))
    return source


def built(source: str):
    """The last function or class of a source."""
    last = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return execute(source, last[-1])


def answers(text: str) -> tuple[dict[str, str], list[tuple[str, list[str], str]]]:
    """Right sources by label, and of each wrong one what was changed, its names, its source."""
    right, wrong = {}, []
    for head, body in blocks(text):
        kind, rest = head.split(" ", 1)
        if kind == "right":
            right[rest.strip()] = body
            continue
        label, names = rest.split(":", 1)
        source = body if label == "-" else changed(right[label], body)
        wrong.append((head + body, [name.strip() for name in names.split(" | ")], source))
    return right, wrong


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_right_answer_of_any_style_passes(file: Path):
    right, _ = answers(file.read_text(encoding="utf-8"))
    results = {label: check(file.stem, built(source)) for label, source in right.items()}
    assert {label: repr(r) for label, r in results.items() if not r.passed} == {}
    assert len(results) >= 5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_unforeseen_mistake_is_named(file: Path):
    _, wrong = answers(file.read_text(encoding="utf-8"))
    told = [(what, names, check(file.stem, built(source)).mistake) for what, names, source in wrong]
    assert [each for each in told if not any(name in (each[2] or "") for name in each[1])] == []
    assert told
