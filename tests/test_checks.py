"""The checks name every known mistake, accept what is right, and contain what goes wrong."""

from __future__ import annotations

import contextlib
import json
import random
import time
from pathlib import Path

import pytest
import torch

from bnkit.book.exercise import Mistake, Patch, compose, examine
from bnkit.book.registry import EXERCISES, check
from bnkit.book.run import run_limited
from bnkit.book.theirs import own_line

MISTAKES = [mistake for exercise in EXERCISES.values() for mistake in exercise.mistakes]
CHAPTERS = Path(__file__).parents[1] / "chapters"
VERSIONS = [
    pytest.param(name, mistake, change, id=f"{name}: {mistake.name} {number}")
    for name, exercise in EXERCISES.items()
    for mistake in exercise.mistakes
    for number, change in enumerate(mistake.versions)
]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_passes(name):
    assert examine(EXERCISES[name], EXERCISES[name].solution).passed


@pytest.mark.parametrize("name, mistake, change", VERSIONS)
def test_the_check_names_exactly_this_mistake(name: str, mistake: Mistake, change):
    result = examine(EXERCISES[name], EXERCISES[name].build(change))
    assert (result.status, result.mistake) == ("mistake", mistake.name)
    assert result.hint == mistake.hint
    assert result.sample is not None


def test_the_catalogue_holds_forty_mistakes_with_one_name_each():
    names = [(name, mistake.name) for name, e in EXERCISES.items() for mistake in e.mistakes]
    assert len(set(names)) == len(names)
    assert len({name for _, name in names}) >= 40


def headings(file: str) -> set[str]:
    cells = json.loads((CHAPTERS / file).read_text(encoding="utf-8"))["cells"]
    text = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
    lines = "\n".join("".join(source) for source in text).split("\n")
    return {line.lstrip("#").strip() for line in lines if line.startswith("#")}


@pytest.mark.parametrize("section", sorted({m.section for m in [*MISTAKES, *EXERCISES.values()]}))
def test_what_to_reread_is_a_heading_of_a_chapter(section):
    file, heading = section.split("#", 1)
    assert heading in headings(file)


def stub(*args, **options):
    raise NotImplementedError


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_is_not_started(name):
    result = examine(EXERCISES[name], stub)
    assert (result.status, result.mistake) == ("not started", None)


def test_an_operation_that_pytorch_lacks_is_no_stub():
    def integers(x, weight, bias, eps):
        return torch.lerp(x.long(), x.long(), 0.5)

    result = check("forward", integers)
    assert result.status == "raised"
    assert "implemented for" in result.error


def hang(*args, **options):
    while True:
        pass


def stubborn(*args, **options):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


@pytest.mark.parametrize("endless", [hang, stubborn])
def test_code_that_hangs_is_stopped(endless):
    begun = time.monotonic()
    result = check("forward", endless, limit=0.2)
    assert result.status == "stopped"
    assert time.monotonic() - begun < 5


def test_a_call_that_python_cannot_interrupt_does_not_hold_the_check():
    begun = time.monotonic()
    assert check("forward", lambda *_: time.sleep(8), limit=0.1).status == "stopped"
    assert time.monotonic() - begun < 5


def divides_by_zero(x, weight, bias, eps):
    count = len(x) - len(x)
    return x * (1 / count)


def test_an_exception_is_reported_with_the_learners_own_line():
    result = check("forward", divides_by_zero)
    assert result.status == "raised"
    assert "ZeroDivisionError" in result.error
    assert "return x * (1 / count)" in result.error


def test_an_exception_without_a_line_of_the_learners_is_reported_alone():
    assert own_line(ValueError("shapes")) == "ValueError: shapes"


def test_an_exception_inside_torch_is_reported_with_the_learners_own_line():
    def sizes(x, weight, bias, eps):
        return x @ x

    error = check("forward", sizes).error or ""
    assert check("forward", sizes).status in {"raised", "unknown"}
    assert not error or "return x @ x" in error


@pytest.mark.parametrize("answer", [None, 3, "text", int, exit, lambda: None, lambda *_: None])
@pytest.mark.parametrize("name", EXERCISES)
def test_no_check_leaves_an_exception(name, answer):
    result = examine(EXERCISES[name], answer)
    assert result.status in {"raised", "unknown", "mistake"}
    assert result.headline in repr(result)


def test_returning_nothing_is_said_in_words():
    assert "return" in check("forward", lambda *_: None).hint


def greedy(x, weight, bias, eps):
    """Draws numbers, seeds everything and writes into its inputs."""
    torch.manual_seed(1)
    random.seed(1)
    torch.set_default_dtype(torch.float64)
    x -= x.mean(0)
    x /= (x.square().mean(0) + eps).sqrt()
    x *= weight
    x += bias
    return x


def test_random_numbers_dtype_and_inputs_are_as_before():
    torch.manual_seed(0)
    random.seed(0)
    expected = torch.rand(3), random.random()
    torch.manual_seed(0)
    random.seed(0)
    assert check("forward", greedy).passed
    assert check("forward", greedy).passed
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]


def test_a_result_shows_itself_in_words_and_numbers():
    result = check("forward", lambda x, weight, bias, eps: weight * x + bias)
    text, html = repr(result), result._repr_html_()
    for part in ("Not yet", "expected output", "received output", "[1, 10]"):
        assert part in text
        assert part in html
    assert 'role="status"' in html
    assert '<th scope="row"' in html


def test_the_text_of_a_learner_is_escaped():
    def tagged(*args):
        raise ValueError("<b>bold</b>")

    assert "<b>" not in check("forward", tagged)._repr_html_()


def test_a_known_mistake_says_what_to_reread():
    result = check("forward", lambda x, weight, bias, eps: x * weight + bias)
    assert result.mistake == "not normalized"
    assert "chapter 2" in repr(result)
    assert "chapter 2" in result._repr_html_()


def test_a_result_is_returned_where_work_is_done_in_time():
    assert run_limited(lambda: 3, 5.0).value == 3


def test_in_a_page_of_the_site_the_heading_is_linked(monkeypatch):
    result = check("forward", lambda x, weight, bias, eps: x * weight + bias)
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    assert 'href="02_equations.html#the-equations"' in result._repr_html_()


def test_the_same_code_meets_the_same_random_numbers_every_time():
    def draw(x, weight, bias, eps):
        drawn.append(torch.rand(3))
        return x

    drawn = []
    check("forward", draw)
    calls = len(drawn)
    check("forward", draw)
    torch.testing.assert_close(drawn[calls:], drawn[:calls], rtol=0, atol=0)


def test_a_patch_replaces_a_text_that_occurs_once():
    assert compose("gamma * x_hat + beta", Patch("gamma * ", ""), " + beta -> ") == "x_hat"
    assert Patch("x", "y", all=True).apply("x + x") == "y + y"


@pytest.mark.parametrize("change", ["x -> y", "z -> y"])
def test_a_patch_that_fits_twice_or_never_is_refused(change):
    with pytest.raises(ValueError, match=r"expected .* once in the solution, found it [02] times"):
        compose("x + x", change)


def test_a_change_without_an_arrow_is_refused():
    with pytest.raises(ValueError, match="expected 'old -> new' with one arrow, got 'x'"):
        compose("x", "x")
