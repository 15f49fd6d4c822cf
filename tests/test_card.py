"""A live card is honest: what counts, what it says of code that did not change, what it keeps."""

from __future__ import annotations

import sys
from email.message import Message

import pytest
import torch.nn.functional as F
from docutils.nodes import make_id

from bnkit.book import reread
from bnkit.book.cards import RECORDS, exercise, progress
from bnkit.book.fresh import same_code
from bnkit.book.prints import CHARACTERS, LINES, printed
from bnkit.book.records import keep, record_of
from bnkit.book.registry import EXERCISES
from bnkit.book.result import CheckResult

SECTIONS = sorted({m.section for e in EXERCISES.values() for m in [*e.mistakes, e]})


@pytest.fixture(autouse=True)
def live(monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setenv("BNKIT_WIDGETS", "live")
    RECORDS.clear()
    yield
    RECORDS.clear()


@pytest.fixture
def define(monkeypatch):
    """Run a cell's source where a notebook runs it."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "to_pytorch", None, raising=False)
    return lambda source: exec(source, vars(main)) or main.to_pytorch


STUB = "def to_pytorch(keras_momentum):\n    raise NotImplementedError"
WRONG = "def to_pytorch(keras_momentum):\n    return keras_momentum"
RIGHT = "def to_pytorch(keras_momentum):\n    return 1 - keras_momentum"
SAME = "Same code as last time"


class Card:
    """An exercise's card, and what it shows."""

    def __init__(self, answer):
        self.head, buttons, self.found, self.hints, self.solution = exercise(
            "to_pytorch", answer
        ).children
        self.button, self.hint_button = buttons.children

    def check(self) -> str:
        self.button.click()
        return self.found.value


def test_code_that_did_not_change_is_told_so_and_does_not_count(define):
    card = Card(define(WRONG))
    assert SAME not in card.check()
    assert "did you run your cell?" in card.check()
    assert "momentum left as it is" in card.found.value  # the verdict stays readable
    assert "tried, 1 attempt" in card.head.value
    define("\n# a comment\n" + WRONG)  # run again, one line further down, and the same
    assert SAME in card.check()
    assert "tried, 1 attempt" in card.head.value
    define(RIGHT)
    assert SAME not in card.check()
    assert "passed, 2 attempts" in card.head.value


def test_a_stub_that_is_checked_is_asked_whether_its_cell_was_run(define):
    card = Card(define(STUB))
    assert "run its cell first" in card.check()
    assert "did you run your cell?" in card.check()
    assert "not started" in card.head.value


def test_a_helper_that_changed_makes_a_new_attempt(define):
    card = Card(define("def helper(m):\n    return m\ndef to_pytorch(m):\n    return helper(m)"))
    card.check()
    define("def helper(m):\n    return 1 - m")
    assert SAME not in card.check()
    assert "passed, 2 attempts" in card.head.value


def test_a_name_that_holds_no_code_is_told_and_does_not_count(define):
    card = Card(define(WRONG))
    define("to_pytorch = 0.9")
    assert "<code>to_pytorch</code> is now of type float, and no code" in card.check()
    assert "not started" in card.head.value


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(x): return x + 1", "# moved\n\ndef f(x): return x + 1", True),
        ("def f(x): return x + 1", "def f(x): return x + 2", False),
        ("def f(x): return x + 1", "def f(x): return x + 1.0", False),
        ("def f(x): return x.a", "def f(x): return x.b", False),
        ("def f(x, e=1): return x", "def f(x, e=2): return x", False),
        ("f = lambda x: [y for y in x]", "f = lambda x: [-y for y in x]", False),
        ("class f:\n  def g(s): return 1", "\nclass f:\n  def g(s): return 1", True),
        ("class f:\n  def g(s): return 1", "class f:\n  def g(s): return 2", False),
        ("class f:\n  a = 1", "class f:\n  a = 2", False),
        ("class f(int):\n  a = 1", "class f:\n  a = 1", False),
    ],
)
def test_same_code_means_the_same_wherever_it_stands(one, other, same):
    first, second = {}, {}
    exec(one, first)
    exec(other, second)
    assert same_code(first["f"], second["f"]) is same


def test_what_the_code_prints_appears_in_the_card(define):
    card = Card(define(WRONG.replace("    ", "    print('<b>m</b> is', keras_momentum)\n    ", 1)))
    assert "&lt;b&gt;m&lt;/b&gt; is 0.9" in card.check()
    define(RIGHT)
    assert "bnkit-printed" not in card.check()


@pytest.mark.parametrize("text", ["x" * 10_000_000, "line\n" * 100_000])
def test_a_flood_of_prints_is_cut_short(text):
    with printed() as file:
        print(text)
    assert len(file.text) <= CHARACTERS + 30
    assert len(file.text.splitlines()) <= LINES + 1
    assert file.text.endswith(("…", "… and 99981 more lines"))


def test_a_card_that_is_shown_again_keeps_its_result_and_hints(define):
    card = Card(define(WRONG))
    card.check()
    card.hint_button.click()
    again = Card(define(WRONG))
    assert "momentum left as it is" in again.found.value
    assert "Write down one update" in again.hints.value
    assert again.button.description == "Check again"
    assert again.hint_button.description == "Hint 2 of 2"


def test_a_card_that_is_shown_again_says_that_its_verdict_is_of_earlier_code(define):
    Card(define(WRONG)).check()
    shown = Card(define(RIGHT)).found.value
    assert "Your code has changed since" in shown
    assert "momentum left as it is" in shown


def test_hints_and_solution_step_back_after_a_pass(define):
    card = Card(define(WRONG))
    card.hint_button.click()
    assert card.hints.value.startswith("<ol")
    assert '<summary data-lm-suppress-shortcuts="true">Solution<' in card.solution.value
    define(RIGHT)
    card.check()
    assert card.hint_button.layout.display == "none"
    assert card.hints.value.startswith("<details><summary")
    assert "to compare</summary>" in card.solution.value
    define(WRONG)
    card.check()
    assert card.hint_button.layout.display != "none"


def test_a_ready_made_answer_is_right_and_leaves_the_exercise_open(monkeypatch):
    def forward(x, weight, bias, eps):
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)

    monkeypatch.setattr(sys.modules["__main__"], "forward", forward, raising=False)
    (rows,) = progress("02_equations").children
    head, buttons, found, _, answers = exercise("forward", forward).children
    buttons.children[0].click()
    assert "Right, and ready-made" in found.value
    assert "write it yourself" in found.value
    assert "right, but ready-made, 1 attempt" in head.value
    assert "Solution" in answers.value  # nothing steps back
    assert buttons.children[1].layout.display != "none"
    assert "0 of 1 exercises passed" in rows.value


def test_a_check_that_breaks_is_no_attempt():
    keep("to_pytorch", CheckResult("to_pytorch", "broken"))
    assert record_of("to_pytorch").words == "○ not started"


# The link to reread


@pytest.mark.parametrize("section", SECTIONS)
def test_the_anchor_of_a_page_is_the_one_that_sphinx_makes(section):
    heading = section.split("#", 1)[1]
    assert reread.site_anchor(heading) == make_id(heading)


SECTION = "02_equations.ipynb#Which axes?"


def test_a_page_links_to_the_heading_of_its_neighbor(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    assert reread.link(SECTION, "here") == '<a href="02_equations.html#which-axes">here</a>'


def test_jupyterlab_gets_the_heading_of_the_notebook_beside_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", "live.ipynb")
    (tmp_path / "02_equations.ipynb").touch()
    found = reread.link(SECTION, "here")
    assert found.startswith('<a href="02_equations.ipynb#Which-axes%3F" onclick="')
    assert found.endswith('">here</a>')


def test_vs_code_gets_the_file_beside_the_notebook_which_it_opens_in_a_tab(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", "live.ipynb")  # of a server that VS Code talks to
    monkeypatch.setattr("bnkit.book.page._in_vscode", lambda: True)
    (tmp_path / "02_equations.ipynb").touch()
    assert reread.link(SECTION, "here") == '<a href="02_equations.ipynb">here</a>'


def test_without_a_neighbor_the_published_page_opens_in_a_tab_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reread, "published_site", lambda: "https://me.github.io/book/")
    address = "https://me.github.io/book/chapters/02_equations.html#which-axes"
    expected = f'<a href="{address}" target="_blank" rel="noopener">here</a>'
    assert reread.link(SECTION, "here") == expected
    (tmp_path / "02_equations.ipynb").touch()
    monkeypatch.setitem(sys.modules, "google.colab", object())
    assert reread.link(SECTION, "here") == expected  # Colab knows no neighbors


@pytest.mark.parametrize(
    ("repository", "site"),
    [
        ("me/book", "https://me.github.io/book/"),
        ("Me/me.github.io", "https://me.github.io/"),
        ("your-name/book", ""),  # the placeholder is no place
    ],
)
def test_the_published_site_is_where_github_puts_the_repository(monkeypatch, repository, site):
    message = Message()
    message["Project-URL"] = f"Repository, https://github.com/{repository}"
    monkeypatch.setattr(reread, "metadata", lambda name: message)
    assert reread.published_site.__wrapped__() == site


def test_where_nothing_is_published_the_words_stand_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reread, "published_site", lambda: "")
    assert reread.link(SECTION, "<here>") == "&lt;here&gt;"
