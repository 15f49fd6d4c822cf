"""Cards of exercises beside a real kernel: under Colab's ipywidgets, and in JupyterLab."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from chromium import chromium
from live_kernel import OLD, environment, installed, jupyterlab, notebook, run_all

pytestmark = pytest.mark.live

STUB = """
from bnkit.book.cards import exercise, progress

def to_pytorch(keras_momentum):
    raise NotImplementedError
"""
CARD = 'card = exercise("to_pytorch", to_pytorch)\ncard'
PROGRESS = 'done = progress("03_two_modes")\ndone'
WRONG = "def to_pytorch(keras_momentum):\n    return keras_momentum"
RIGHT = "def to_pytorch(keras_momentum):\n    return 1 - keras_momentum"
WRONG_THAT_PRINTS = WRONG.replace("    ", "    print('m =', keras_momentum)\n    ", 1)
HANGS = "def to_pytorch(keras_momentum):\n    while True:\n        pass"
PRESS = """
card.children[1].children[0].click()
print(card.children[2].value)
"""
CELLS = "document.querySelectorAll('.jp-CodeCell')"
IN_SIGHT = """heading => {
  const box = heading.getBoundingClientRect();
  return box.height && box.top >= 0 && box.bottom <= innerHeight;
}"""
SUM = """
import ipywidgets
print(ipywidgets.__version__, card.children[0].value, done.children[0].value)
"""


def run(folder: Path, env: dict[str, str], *sources: str) -> list:
    nbclient = pytest.importorskip("nbclient")
    book = notebook(*sources)
    folders = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        book, timeout=60, kernel_name="python3", resources=folders, allow_errors=True
    )
    client.execute(env=env)
    return [cell.outputs for cell in book.cells]


def assert_follows(outputs: list, version: str) -> None:
    _, [card], [done], [first], _, [second], _, [third], [words] = outputs
    for shown in (card, done):
        assert "application/vnd.jupyter.widget-view+json" in shown.data
        assert "text/html" not in shown.data
    assert "Not started" in first.text
    assert "momentum left as it is" in second.text
    assert "Passed" in third.text
    assert words.text.startswith(version)
    assert words.text.count("✓ passed, 2 attempts") == 2  # in the card and in the progress
    assert "1 of 3 exercises passed" in words.text


SOURCES = (STUB, CARD, PROGRESS, PRESS, WRONG, PRESS, RIGHT, PRESS, SUM)


def test_a_card_is_live_under_the_ipywidgets_of_colab(request, tmp_path):
    old = installed(OLD, request.config.cache)
    path = os.pathsep.join(filter(None, [str(old), os.environ.get("PYTHONPATH", "")]))
    env = environment(PYTHONPATH=path, BNKIT_WIDGETS="live")
    assert_follows(run(tmp_path, env, *SOURCES), OLD)


def test_a_card_is_live_under_the_current_ipywidgets(tmp_path):
    import ipywidgets

    outputs = run(tmp_path, environment(BNKIT_WIDGETS="live"), *SOURCES)
    assert_follows(outputs, ipywidgets.__version__)


def test_a_hanging_answer_is_stopped_in_a_real_kernel(tmp_path):
    short = "import bnkit.book.live_card as live\nlive.LIMIT = 0.5"
    env = environment(BNKIT_WIDGETS="live")
    *_, [stopped], [after] = run(tmp_path, env, STUB, CARD, short, HANGS, PRESS, "print(1)")
    assert "Stopped" in stopped.text
    assert after.text == "1\n"


def test_a_card_is_baked_where_nobody_sits_at_the_kernel(tmp_path):
    _, [card], [done] = run(tmp_path, environment(), STUB, CARD, PROGRESS)
    for shown in (card, done):
        assert set(shown.data) == {"text/html", "text/plain"}


BROKEN = "def to_pytorch(keras_momentum):\n    return (1 - keras_momentum"
RENAMED = "def to_torch(keras_momentum):\n    return 1 - keras_momentum"
RAISES = "1 / 0\n\n" + RIGHT
SHOW = PRESS + "\nprint(card.children[0].value)"


BLAMED = {  # a cell that makes no new answer, and what the card says of it
    BROKEN: "has a syntax error in line 2, so it made no new <code>to_pytorch</code>",
    RENAMED: "makes <code>to_torch</code>, and the check looks for <code>to_pytorch</code>",
    RAISES: "stopped with an exception before it made a new <code>to_pytorch</code>",
}


def test_a_cell_that_made_no_new_answer_is_named_and_does_not_count(tmp_path):
    env = environment(BNKIT_WIDGETS="live")
    tried = [each for source in BLAMED for each in (source, SHOW)]
    outputs = run(tmp_path, env, STUB, CARD, BROKEN, SHOW, WRONG, SHOW, *tried, RIGHT, SHOW)
    [stub], [first], *after, [mended] = outputs[3::2]
    assert "Cell [3] has a syntax error in line 2" in stub.text
    assert "not started" in stub.text
    assert "tried, 1 attempt" in first.text
    for number, ([shown], words) in enumerate(zip(after, BLAMED.values(), strict=True)):
        assert f"Cell [{7 + 2 * number}] {words}" in shown.text
        assert "does not count" in shown.text
        assert "tried, 1 attempt" in shown.text
    assert "Cell [" not in mended.text
    assert "passed, 2 attempts" in mended.text


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The exercise in a notebook of its chapter's name, with the heading to reread far below."""
    home = tmp_path_factory.mktemp("lab")
    book = notebook(WRONG_THAT_PRINTS, STUB.split("\n\n")[0], CARD, PROGRESS)
    text = [*["A paragraph.\n\n" * 20] * 5, "### The equation", *["And another.\n\n" * 20] * 5]
    book.cells += [nbformat.v4.new_markdown_cell(source) for source in text]
    book.cells.append(nbformat.v4.new_code_cell(LINK))
    other = nbformat.v4.new_notebook(metadata=book.metadata)
    text[text.index("### The equation")] = "## Which axes?"
    other.cells = [nbformat.v4.new_markdown_cell(source) for source in text]
    nbformat.write(other, home / "02_equations.ipynb")
    with jupyterlab(home, book, "03_two_modes.ipynb") as lab, chromium() as browser:
        yield run_all(browser, lab)


def test_check_and_hints_work_by_keyboard_in_jupyterlab(page):
    card = page.locator(".jp-OutputArea-output .bnkit-exercise")
    card.get_by_role("button", name="Check").focus()
    page.keyboard.press("Enter")
    card.get_by_text("momentum left as it is").wait_for()
    said = card.get_by_role("region", name="What your code printed")
    assert said.inner_text().startswith("m = 0.75")
    assert "tried, 1 attempt" in page.locator(".bnkit-progress").inner_text()
    card.get_by_role("button", name="Hint 1 of 2").focus()
    page.keyboard.press("Space")
    card.get_by_text("Write down one update").wait_for()
    assert not card.get_by_text("Keras' default is 0.99").is_visible()
    summary = card.get_by_text("Solution", exact=True)
    summary.focus()
    page.keyboard.press("Enter")
    assert card.get_by_role("region", name="Solution of to_pytorch").is_visible()
    if shot := os.environ.get("BNKIT_SHOT"):
        page.screenshot(path=shot)


def test_code_that_was_edited_and_not_run_is_told_so_in_jupyterlab(page):
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(RIGHT)
    card = page.locator(".jp-OutputArea-output .bnkit-exercise")
    card.get_by_role("button", name="Check again").click()
    card.get_by_text("Same code as last time: did you run your cell?").wait_for()
    assert "tried, 1 attempt" in page.locator(".bnkit-progress").inner_text()


LINK = """
from IPython.display import HTML
from bnkit.book.reread import link
HTML(link("02_equations.ipynb#Which axes?", "the axes"))
"""


def test_a_chapter_that_is_not_open_yet_opens_at_the_heading_in_jupyterlab(page):
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("link", name="the axes").click()
    heading = page.locator(".jp-RenderedMarkdown h2", has_text="Which axes?").first
    heading.wait_for()
    page.wait_for_function(IN_SIGHT, arg=heading.element_handle())
    assert page.evaluate("window.neverReloaded")
    page.get_by_role("tab", name="03_two_modes.ipynb").click()


def test_the_section_to_reread_comes_into_sight_and_unsaved_edits_stay_in_jupyterlab(page):
    page.evaluate("window.neverReloaded = true")
    heading = page.locator(".jp-RenderedMarkdown h3", has_text="The equation")
    card = page.locator(".jp-OutputArea-output .bnkit-exercise")
    card.get_by_role("link", name="chapter 3, “The equation”").click()
    heading.wait_for()
    page.wait_for_function(IN_SIGHT, arg=heading.element_handle())
    assert page.evaluate("window.neverReloaded")
    assert page.locator(".lm-TabBar-tab.jp-mod-dirty", has_text="03_two_modes").count() == 1
    page.evaluate(f"({CELLS})[0].scrollIntoView()")
    assert (
        "return 1 - keras_momentum" in page.locator(".jp-CodeCell .cm-content").first.inner_text()
    )
