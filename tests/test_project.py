"""The files around the book agree with one another."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name: PyPI's
CONDA_ONLY = {"python", "pip", "make"}
WITH_A_REASON = 6  # lines of a docstring of what the reference does not list


def canonical(requirement: str) -> str:
    """``Pkg_Name >=1, <2`` as ``pkg-name<2,>=1``."""
    name, bounds = re.fullmatch(r"\s*([\w.-]+)\s*([^;]*?)\s*", requirement).groups()
    name = re.sub(r"[-_.]+", "-", name).lower()
    return CONDA_NAMES.get(name, name) + ",".join(sorted(bounds.replace(" ", "").split(",")))


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def required(project: dict) -> set[str]:
    lists = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    lists += project["project"].get("optional-dependencies", {}).values()
    return {canonical(item) for items in lists for item in items if isinstance(item, str)}


def name_of(requirement: str) -> str:
    return re.match(r"[\w-]+", requirement)[0]


def toc_files(node: object) -> list[str]:
    """Every page of _toc.yml, in reading order."""
    if isinstance(node, list):
        return [file for item in node for file in toc_files(item)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [file for value in node.values() for file in toc_files(value)]
    return []


def test_conda_users_get_the_same_dependencies(required: set[str]) -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [item for item in environment["dependencies"] if isinstance(item, str)]
    (from_pip,) = (item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert "-e ." in from_pip  # repo2docker takes --editable for a package
    wanted = {canonical(item) for item in plain + from_pip if not item.startswith("-e")}
    assert {item for item in wanted if name_of(item) not in CONDA_ONLY} == required


def test_python_versions_agree(project: dict) -> None:
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert f"python{project['project']['requires-python']}" in environment


def test_every_dependency_has_a_tested_version_and_bnkit_none(required: set[str]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0] for line in lines if line and not line.startswith("#")}
    assert {name_of(item) for item in required} <= pinned
    assert not [name for name in pinned if re.match(r"bnkit|nvidia-|cuda-|triton|pip$", name)]


def test_every_chapter_is_in_the_table_of_contents_once() -> None:
    pages = toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    assert len(pages) == len(set(pages))
    found = [path for path in (ROOT / "chapters").iterdir() if path.suffix in {".ipynb", ".md"}]
    assert {f"chapters/{path.stem}" for path in found} == set(pages) - {"index"}
    numbered = [page for page in pages if re.match(r"chapters/\d", page)]
    assert numbered == sorted(numbered)


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    listed = set(re.findall(r"@echo 'make ([\w-]+)", makefile))
    assert targets - {"help", "html"} == listed


def test_ci_runs_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test$", script, re.MULTILINE)
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_hooks_check_what_make_lint_checks() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlint:")[1].split("\n\n")[0]
    commands = re.findall(r"-m (.+?) \.$", lint, re.MULTILINE)
    assert [re.sub(r".*-m | --force-exclude", "", entry) for entry in entries] == commands


def reference() -> dict[str, list[str]]:
    """What the reference pages list: by module the names that are chosen, none for all."""
    fence = re.compile(r"^```\{api\} bnkit\.(\S+)((?: \w+)*)$", re.MULTILINE)
    pages = [path.read_text(encoding="utf-8") for path in ROOT.glob("chapters/api_*.md")]
    return {module: names.split() for page in pages for module, names in fence.findall(page)}


def test_the_reference_lists_the_library_and_what_a_chapter_is_written_with() -> None:
    library = {"functional", "layers", "relatives", "models", "data", "training", "distributed"}
    library |= {"doctor"}
    book = {"explore", "playground", "quiz", "cards", "exercise", "observe", "registry", "claims"}
    book |= {"evidence", "seeds", "tuning", "train_here"}
    assert set(reference()) == library | {"plots", "cli"} | {f"book.{name}" for name in book}


def test_the_first_page_of_the_reference_leads_to_each_of_its_pages() -> None:
    first = (ROOT / "chapters" / "api.md").read_text(encoding="utf-8")
    pages = {path.name for path in ROOT.glob("chapters/api_*.md")}
    assert set(re.findall(r"\]\((\w+\.md)\)", first)) == pages
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert all(f"chapters/{name.removesuffix('.md')}\n" in toc for name in pages)


def test_what_the_reference_lists_has_an_example_and_the_rest_a_clear_line() -> None:
    listed = {
        (module, name)
        for module, names in reference().items()
        for name in names or import_module(f"bnkit.{module}").__all__
    }
    for path in sorted(ROOT.glob("bnkit/**/*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            where, doc = (path.name, node.name), ast.get_docstring(node) or ""
            home = ".".join(path.relative_to(ROOT / "bnkit").with_suffix("").parts)
            if any(home.startswith(module) and node.name == name for module, name in listed):
                assert ">>>" in doc, where
            else:
                assert len(doc.splitlines()) <= WITH_A_REASON, where
                assert not re.search(r"^(Args|Returns|Attributes|Example):$", doc, re.MULTILINE)


def test_no_tracked_text_names_a_folder_of_one_machine() -> None:
    shared = re.compile(r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/")
    texts = [
        path
        for pattern in ("*.md", "*.yml", "*.toml", "Makefile", "bnkit/**/*.py", "tests/*.py")
        for path in ROOT.glob(pattern)
    ]
    me = Path(__file__).resolve()
    assert not [p.name for p in texts if p != me and shared.search(p.read_text(encoding="utf-8"))]


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
@pytest.mark.parametrize(
    "setting",
    [
        "REPO=my name/repo",
        "REPO=o'neil/repo",
        "REPO=a/b'; touch hacked '",
        "BRANCH=it's;touch hacked",
    ],
)
def test_a_hostile_repository_gets_one_line_and_runs_nothing(setting: str) -> None:
    command = ["make", "--silent", "set-repository", setting, f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said, *of_make = done.stderr.splitlines()
    assert done.returncode != 0 and said.startswith("expected ")
    assert all(line.startswith("make") for line in of_make) and not (ROOT / "hacked").exists()


def test_git_ignores_checkpoints_and_the_readme_names_what_make_writes() -> None:
    assert "*.pt" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`dist/{name}`" in readme for name in ("book.pdf", "book.zip"))
