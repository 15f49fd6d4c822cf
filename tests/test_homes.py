"""A notebook runs where the book does not: Colab, Kaggle, Binder; one address leads there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
SITE = (ROOT / os.environ.get("BOOK_SITE", "_build/html")).resolve()
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def load_script(name: str, folder: str = "scripts"):
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


script = load_script("set_repository")


def run_setup(folder: Path, source: str, *, installed: bool) -> subprocess.CompletedProcess:
    """Run a set-up cell where bnkit is or is not; a fake pip writes down what it is asked for."""
    (folder / "pip.py").write_text(
        "import sys, pathlib\n"
        "pathlib.Path('asked').write_text(sys.argv[-1])\n"
        "pathlib.Path('bnkit.py').write_text('__version__ = \"9.9\"')\n"
    )
    if installed:
        (folder / "bnkit.py").write_text("__version__ = '1.0'")
    code = f"import sys; sys.path[:] = [p for p in sys.path if 'bnkit' not in p]\n{source}"
    isolated = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in "
    isolated += 'f\'{f} {getattr(f, "__module__", "")}\']\n'
    return subprocess.run(
        [sys.executable, "-c", isolated + code],
        cwd=folder,
        text=True,
        capture_output=True,
        env={"PATH": "", "PYTHONPATH": "."},
        check=False,
    )


@notebooks
def test_every_notebook_opens_with_the_badges_and_the_set_up_of_this_repository(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells[:2]
    expected = script.head(path, script.configured())
    advice = "run `make set-repository` to renew the heads"
    assert [(c.id, c.source) for c in cells] == [(c.id, c.source) for c in expected], advice
    assert all(cell.metadata.tags == ["remove-cell"] for cell in cells)


@notebooks
def test_a_link_to_a_page_that_is_no_notebook_leads_to_the_published_site(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.id != "badges"]
    own = script.configured()
    for cell in (cell for cell in cells if cell.cell_type == "markdown"):
        advice = f"{cell.id}: Colab opens no such page; run `make set-repository`"
        assert cell.source == own.linked(cell.source), advice


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("Jane/bn", "https://jane.github.io/bn/"),
        ("Jane/jane.github.io", "https://jane.github.io/"),
    ],
)
def test_book_and_notebooks_agree_on_where_the_site_is(name: str, site: str) -> None:
    book = load_script("self_contained", "_ext")
    assert script.Repository(name, "main").site == book.published_site(script.HOST + name) == site


def test_the_buttons_of_every_page_lead_to_this_repository() -> None:
    if not (SITE / "index.html").exists():
        pytest.skip("the book is not built: run `make book` first")
    own = script.configured()
    place = f"{own.name}/%s/{own.branch}"
    for path in NOTEBOOKS:
        page = (SITE / "chapters" / f"{path.stem}.html").read_text(encoding="utf-8")
        file = path.relative_to(ROOT).as_posix()
        assert f'href="https://github.com/{place % "edit"}/{file}"' in page, path.stem
        assert f'href="https://colab.research.google.com/github/{place % "blob"}/{file}"' in page
        binder = f"https://mybinder.org/v2/gh/{own.name}/{own.branch}?urlpath=lab/tree/{file}"
        assert f'href="{binder}"' in page
        assert f'href="{own.url}/issues/new?' in page
        assert own.site not in page, "a link to the published site did not stay in the book"


def test_only_pages_of_this_book_are_led_to_its_site() -> None:
    own = script.configured()
    site = f"{own.site}chapters/notation.html"
    assert own.linked("[a](notation.md#two-variances)") == f"[a]({site}#two-variances)"
    assert own.linked("[a](https://old.github.io/b/chapters/notation.html)") == f"[a]({site})"
    for foreign in ("[a](02_equations.ipynb)", "[a](https://d2l.github.io/x/chapters/cnn.html)"):
        assert own.linked(foreign) == foreign


def test_no_file_names_another_repository() -> None:
    owner, name = script.configured().name.split("/")
    links = re.compile(
        r"github\.com/([\w.-]+)/(batch-normalization[\w.-]*|" + re.escape(name) + ")"
    )
    for file in ("_config.yml", *script.FOLLOWERS):
        for found in links.finditer((ROOT / file).read_text(encoding="utf-8")):
            assert found[1] == owner and found[2].removesuffix(".git") == name, (file, found[0])


def test_a_new_address_reaches_every_file_and_comes_back(tmp_path: Path, monkeypatch) -> None:
    names = ["_config.yml", *script.FOLLOWERS, "chapters/notation.md", "chapters/api_functional.md"]
    names += ["chapters/01_why_normalize.ipynb"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(script, "ROOT", tmp_path)
    old = script.configured()
    script.main(["jane/bn", "trunk"])
    assert script.configured() == script.Repository("jane/bn", "trunk")
    assert not [n for n in names if old.name in (tmp_path / n).read_text(encoding="utf-8")]
    assert "jane/bn/blob/trunk/chapters" in (tmp_path / names[-1]).read_text(encoding="utf-8")
    page = (tmp_path / names[-1]).read_text(encoding="utf-8")
    assert "https://jane.github.io/bn/chapters/notation.html" in page
    script.main([old.name, old.branch])
    for name in names:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_a_repository_is_owner_and_name() -> None:
    with pytest.raises(SystemExit, match="owner/name"):
        script.main(["only-a-name"])


@pytest.mark.parametrize("wheel", ["bnkit-0.1.0-py3-none-any.whl", None])
def test_the_set_up_takes_the_wheel_beside_the_notebook_before_the_release(tmp_path, wheel) -> None:
    if wheel:
        (tmp_path / wheel).touch()
    setup = script.head(NOTEBOOKS[0], script.configured())[1].source
    done = run_setup(tmp_path, setup, installed=False)
    assert done.stdout == "bnkit 9.9\n", done.stderr
    release = script.configured().archive(script.version())
    assert (tmp_path / "asked").read_text() == (wheel or release)


def test_the_set_up_does_nothing_where_bnkit_is_installed(tmp_path: Path) -> None:
    setup = script.head(NOTEBOOKS[0], script.configured())[1].source
    done = run_setup(tmp_path, setup, installed=True)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
    assert not (tmp_path / "asked").exists()


def test_a_chapter_on_other_data_installs_them_too() -> None:
    assert set(load_script("run_like_colab").DATA) == set(script.DATA.values())
    for stem, name in script.DATA.items():
        path = ROOT / "chapters" / f"{stem}.ipynb"
        assert f'find_spec("{name}")' in script.head(path, script.configured())[1].source


def test_bnkit_needs_nothing_that_colab_lacks_and_sets_no_upper_bound() -> None:
    pins = load_script("run_like_colab").pins()
    colab = {pin.name: str(pin.specifier).removeprefix("==").replace(".*", ".0") for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in map(Requirement, project["dependencies"]):
        assert {bound.operator for bound in requirement.specifier} <= {">="}, requirement
        assert requirement.name in colab, f"Colab does not have {requirement.name}"
        version = colab[requirement.name]
        assert not version or requirement.specifier.contains(version), requirement


@pytest.fixture(scope="module")
def like_colab(tmp_path_factory):
    """The script that runs notebooks as Colab does, with a kernel of this Python."""
    module, before = load_script("run_like_colab"), os.environ.get("JUPYTER_PATH")
    module.prepare_kernel(tmp_path_factory.mktemp("colab"), Path(sys.executable))
    yield module
    os.environ.pop("JUPYTER_PATH") if before is None else os.environ.update(JUPYTER_PATH=before)


WRONG = {
    "division": "1 / 0",
    "warning": "import warnings; warnings.warn('old', DeprecationWarning)",
    "network": "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
    "exit": "import os; os._exit(1)",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_run_like_colab_names_the_cell_that_went_wrong(like_colab, tmp_path, name) -> None:
    after = nbformat.v4.new_code_cell("1", id="after", execution_count=9)
    after.outputs = [nbformat.v4.new_output("stream", text="of an earlier run")]
    cells = [nbformat.v4.new_code_cell("1", id="before")]
    cells += [nbformat.v4.new_code_cell(WRONG[name], id=name), after]
    failure = like_colab.execute(nbformat.v4.new_notebook(cells=cells), str(tmp_path))
    assert failure.startswith(f"failed in cell 1 ({name})")


def test_a_kernel_like_colabs_starts_processes_that_import_bnkit(like_colab, tmp_path) -> None:
    spawn = """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from bnkit.training import set_seed
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(set_seed, [1, 2])) == [None, None]
    """
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(spawn), id="spawn")]
    assert like_colab.execute(nbformat.v4.new_notebook(cells=cells), str(tmp_path)) is None


def test_only_a_python_of_colabs_version_makes_its_environment(like_colab, monkeypatch) -> None:
    monkeypatch.setenv("COLAB_PYTHON", sys.executable)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(
        like_colab, "COLAB_PYTHON", f"{sys.version_info.major}.{sys.version_info.minor}"
    )
    assert like_colab.colab_python() == sys.executable
    monkeypatch.setattr(like_colab, "COLAB_PYTHON", "2.7")
    assert like_colab.colab_python() is None


def test_the_release_tag_is_the_version_of_bnkit() -> None:
    text = (ROOT / "bnkit" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{script.version()}"' in text
    assert f"version: {script.version()}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_workflows_run_nothing_but_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert {path.stem for path in workflows} == {"test", "pages", "weekly"}
    for path in workflows:
        called = re.findall(r"run: make ([a-z-]+)", path.read_text(encoding="utf-8"))
        assert called and set(called) <= targets, path.name
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def test_a_codespace_installs_by_the_makefile() -> None:
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert settings["postCreateCommand"] == "make install"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a b/c"], "expected REPO=owner/name, got 'a b/c'"),
        (["owner/name", "no branch"], "expected BRANCH=name, got 'no branch'"),
        (["owner/name", "main", "more"], "expected a repository and a branch, got 3 words"),
    ],
)
def test_a_repository_that_is_none_gets_one_line(words, expected) -> None:
    with pytest.raises(SystemExit, match=re.escape(expected)):
        script.main(words)
