"""Every exercise over the page's torch: solutions pass, mistakes have the names of the notebook.

The page's torch has PyTorch's name, so it runs in a process of its own. What the notebook says of
each mistake is frozen in tests/golden. Of each exercise some mistakes are compared;
BNKIT_ALL_MISTAKES=1 compares all, which takes minutes. Where the book was built, what its pages
compare answers with is read, as there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import page_python
import pytest

from bnkit.book.registry import EXERCISES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "page"
STRIDE = 1 if os.environ.get("BNKIT_ALL_MISTAKES") else 10
FROZEN = json.loads((Path(__file__).parent / "golden" / "catalogue.json").read_text("utf-8"))

SURVEY = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import describe
describe.hide_libraries()
import desk
desk.chapter_of("01")
import baked
from pathlib import Path
baked.FOLDER = Path(sys.argv[4])
found = {}
for name, chapter, numbers in json.loads(sys.argv[3]):
    exercise = desk.exercise_of(chapter, name)
    from bnkit.book.exercise import examine
    answers = [exercise.build(), *(exercise.build(exercise.versions[i][1]) for i in numbers)]
    results = [examine(exercise, answer) for answer in answers]
    found[name] = [[result.status, result.mistake] for result in results]
json.dump(found, sys.stdout)
"""


def in_page(code: str, *arguments: str) -> str:
    """What a bare Python with the page's torch prints."""
    command = [sys.executable, "-c", code, str(PAGE), str(ROOT), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def sampled(name: str) -> list[int]:
    """Which versions of an exercise's mistakes are compared: the first of every few mistakes."""
    mistakes = [mistake for mistake, _ in EXERCISES[name].versions]
    return [mistakes.index(mistake) for mistake in EXERCISES[name].mistakes[::STRIDE]]


def built() -> Path:
    """What the book's build found of these sources; it need not be there."""
    return page_python.fetcher().cache().parent / f"checks-{page_python.version()}"


@cache
def seen_in_page() -> dict[str, list]:
    wanted = [(name, e.chapter, sampled(name)) for name, e in EXERCISES.items()]
    return json.loads(in_page(SURVEY, json.dumps(wanted), str(built() / "looks")))


@cache
def described() -> dict[str, list[dict]]:
    if built().is_dir():
        return json.loads((built() / "exercises.json").read_text(encoding="utf-8"))
    run = subprocess.run(
        [sys.executable, str(PAGE / "describe.py")], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_at_least_28_exercises_work_and_their_solutions_pass_the_others_say_why_not() -> None:
    every = [exercise for exercises in described().values() for exercise in exercises]
    assert {each["name"] for each in every} == set(EXERCISES)
    assert sum(each["reason"] is None for each in every) >= 28
    for each in every:
        assert each["reason"] is None or each["reason"].startswith("The page's Python cannot")


def test_at_least_98_in_100_mistakes_are_named_as_in_the_notebook() -> None:
    other, count = [], 0
    for name, found in seen_in_page().items():
        for number, verdict in zip(sampled(name), found[1:], strict=True):
            here = in_notebook(name, number)
            count += here is not None
            if here not in (None, verdict):
                other.append((name, number, verdict, here))
    assert count
    assert len(other) <= max(2, 0.02 * count), other


def in_notebook(name: str, number: int) -> list[str | None] | None:
    """Status and mistake of the first version of a mistake, as they are frozen."""
    told = FROZEN.get(name, {}).get(EXERCISES[name].versions[number][0].name)
    return [told["status"], told["mistake"]] if told else None


BAKED = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import describe
describe.hide_libraries()
import desk
exercises = [desk.exercise_of(*each) for each in (("03", "corrected_mean"), ("12", "merge"))]
import baked
from pathlib import Path
from bnkit.book.observe import looks_alike
baked.FOLDER = Path(sys.argv[3])
count = 0
for exercise in exercises:
    (baked.FOLDER / f"{exercise.name}.json").write_text(baked.stored(exercise))
    known, slips = baked.baked(exercise.name)
    assert [name for name, _, _ in slips] == [slip.name for slip, _ in exercise.slips]
    assert [hint for _, hint, _ in slips] == [slip.hint for slip, _ in exercise.slips]
    runs = [run for _, run in exercise.known + exercise.slips]
    for run, read in zip(runs, [*known, *(run for _, _, run in slips)], strict=True):
        for one, other in zip(run, read, strict=True):
            assert list(one.facets) == list(other.facets)
            words = [(o.error, o.cause, o.returned, o.stub) for o in (one, other)]
            assert words[0] == words[1]
            for name, value in one.facets.items():
                again = other.facets[name]
                assert looks_alike(value, again) or value is again is None, (value, again)
                count += 1
print(count)
"""


def test_what_a_page_reads_of_mistakes_is_what_it_would_compute(tmp_path: Path) -> None:
    assert int(in_page(BAKED, str(tmp_path)).splitlines()[-1]) > 300


DESK = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import describe
describe.hide_libraries()
import desk, json
chapter = "03_two_modes"
codes = json.loads(sys.argv[3])
found = [[desk.run(code), desk.check(chapter, "to_pytorch", code)] for code in codes]
print(json.dumps(found))
"""


HEAD = "def to_pytorch(keras_momentum):\n    "
SAID = {
    "right": (HEAD + "return 1 - keras_momentum", None, "passed"),
    "stub": (HEAD + "raise NotImplementedError", None, "not started"),
    "syntax": ("def to_pytorch(:\n  pass", "SyntaxError in line 1: ", "not run"),
    "its own line": ("x = 1\ny = torch.ones(2) @ torch.ones(3)", "in line 2: y = torch", "not run"),
    "another name": ("def other(k):\n    return 1", "", "not run"),
    "recursion": ("def f(n):\n    return f(n + 1)\nf(0)", "calls itself without end", "not run"),
    "absent library": ("import numpy", "the page's Python has no numpy", "not run"),
    "absent layer": ("nn.LSTM(2, 3)", "the page's torch lacks torch.nn.LSTM", "not run"),
}


MILLION = "for i in range(1_000_000):\n    print(i)"
CHEAT = "torch.allclose = lambda *a, **k: True\n" + HEAD + "return 7.0"


@cache
def told() -> dict[str, tuple[dict, dict]]:
    """What running and checking each code give, as an answer to `to_pytorch`."""
    codes = [code for code, _, _ in SAID.values()] + [MILLION, CHEAT]
    found = json.loads(in_page(DESK, json.dumps(codes)).splitlines()[-1])
    return dict(zip(codes, found, strict=True))


@pytest.mark.parametrize("name", SAID)
def test_an_error_is_told_in_plain_words_with_the_line_of_the_learner(name: str) -> None:
    code, words, status = SAID[name]
    run, check = told()[code]
    assert check["status"] == status
    if words is None:
        assert run["error"] is None and check["error"] is None
    else:
        assert words in (run["error"] or "")
        assert check["error"]


def test_a_million_lines_are_cut_and_counted() -> None:
    run, _ = told()[MILLION]
    assert run["error"] is None
    assert len(run["printed"]) < 21_000
    assert "characters more, which the page leaves out" in run["printed"]


def test_an_answer_that_replaces_the_comparison_does_not_pass() -> None:
    _, check = told()[CHEAT]
    assert check["status"] != "passed"
    assert "torch.allclose" in check["text"]
