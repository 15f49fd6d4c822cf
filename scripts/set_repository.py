"""Write the repository's address wherever the book names it: _config.yml is the one source.

Usage: python scripts/set_repository.py [OWNER/NAME] [BRANCH]

Without arguments the address of _config.yml is carried into the other files, and every notebook
gets its head: the badges, and the cell that installs bnkit where it is absent (and what a chapter
takes its data from). A link in a notebook
to a page that is no notebook, ``[...](notation.md)``, becomes the page's address on the published
site: Colab opens nothing else.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
HOST = "https://github.com/"
TITLE = "Batch Normalization, Measured"
PAGE_LINK = re.compile(
    r"\]\((?:https://[\w.-]+\.github\.io/(?:[\w.-]+/)?chapters/)?([\w-]+)\.(?:html|md)"
)
HEAD = ("badges", "setup")  # ids of the cells that open each notebook
FOLLOWERS = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml")
SETUP = """\
import importlib.util
import subprocess
import sys
from glob import glob

RELEASE = "{archive}"
if importlib.util.find_spec("bnkit") is None:  # as in Colab
    source = max(glob("bnkit-*.whl"), default=RELEASE)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, source], check=True)
    importlib.invalidate_caches()
    print("bnkit", importlib.import_module("bnkit").__version__)"""
DATA = {"18_elsewhere": "mnist1d"}  # packages of data that a chapter takes from PyPI
DATA_SETUP = """
if importlib.util.find_spec("{name}") is None:
    source = max(glob("{name}-*.whl"), default="{name}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, source], check=True)
    importlib.invalidate_caches()"""


@dataclass(frozen=True)
class Repository:
    """Owner, name and branch of the book's repository."""

    name: str
    branch: str

    @property
    def url(self) -> str:
        return HOST + self.name

    @property
    def site(self) -> str:
        """Where GitHub Pages publishes the book."""
        owner, name = self.name.split("/")
        host = f"{owner.lower()}.github.io"
        return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"

    def badges(self, page: str) -> str:
        """Links that open a notebook in Colab and on Kaggle, and one to the book, as Markdown."""
        path = f"{self.name}/blob/{self.branch}/{page}"
        colab, kaggle = "https://colab.research.google.com", "https://kaggle.com"
        return (
            f"[![Open in Colab]({colab}/assets/colab-badge.svg)]({colab}/github/{path}) "
            f"[![Open in Kaggle]({kaggle}/static/images/open-in-kaggle.svg)]"
            f"({kaggle}/kernels/welcome?src={HOST}{path})\n\n"
            f"A chapter of [{TITLE}]({self.url}). Links to other chapters work where Colab opened "
            "it by the badge and where the chapters lie side by side. In a copy on your Drive they "
            "lead nowhere."
        )

    def linked(self, text: str) -> str:
        """Lead the links to pages that are no notebooks to the published site."""

        def lead(link: re.Match[str]) -> str:
            is_page = (ROOT / "chapters" / f"{link[1]}.md").exists()
            return f"]({self.site}chapters/{link[1]}.html" if is_page else link[0]

        return PAGE_LINK.sub(lead, text)

    def archive(self, version: str) -> str:
        """Address of the source at the release of that version."""
        return f"{self.url}/archive/refs/tags/v{version}.zip"


def configured() -> Repository:
    """Read the address from _config.yml."""
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    found = re.search(rf"^repository:\n  url: {HOST}(\S+)\n  branch: (\S+)$", text, re.MULTILINE)
    if not found:
        raise SystemExit("_config.yml: expected repository.url on GitHub, then repository.branch")
    return Repository(*found.groups())


def version() -> str:
    """Read bnkit's version from pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+)"$', text, re.MULTILINE)[1]


def head(path: Path, repository: Repository) -> list[NotebookNode]:
    """Make the two cells that open a notebook; the pages of the book leave them out."""
    metadata = {"tags": ["remove-cell"]}
    page = path.relative_to(ROOT).as_posix()
    setup = SETUP.format(archive=repository.archive(version()))
    if name := DATA.get(path.stem):
        setup += DATA_SETUP.format(name=name)
    return [
        nbformat.v4.new_markdown_cell(repository.badges(page), id=HEAD[0], metadata=metadata),
        nbformat.v4.new_code_cell(setup, id=HEAD[1], metadata=metadata, execution_count=1),
    ]


def write_head(path: Path, repository: Repository) -> None:
    """Put the head on a notebook, or renew it; the other cells keep their outputs."""
    notebook = nbformat.read(path, as_version=4)
    body = [cell for cell in notebook.cells if cell.id not in HEAD]
    code = [cell for cell in body if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=2):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    for cell in body:
        if cell.cell_type == "markdown":
            cell.source = repository.linked(cell.source)
    notebook.cells = [*head(path, repository), *body]
    nbformat.write(notebook, path)


def notebooks() -> list[Path]:
    """List the notebooks of the book in reading order."""
    return sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))


def moved(text: str, old: Repository, new: Repository) -> str:
    """Replace one address by another, as it stands in links and in escaped links."""
    (owner, name), (new_owner, new_name) = old.name.split("/"), new.name.split("/")
    text = text.replace(old.name, new.name).replace(
        f"{owner}%2F{name}", f"{new_owner}%2F{new_name}"
    )
    text = text.replace(f"tree%2F{name}%2F", f"tree%2F{new_name}%2F")
    for before in (f"{new.name}/", f"{new_name}&branch=", f"{new.name}\n  branch: "):
        text = re.sub(re.escape(before + old.branch) + r"\b", before + new.branch, text)
    return text


def follow(old: Repository, new: Repository) -> None:
    """Replace one address by another in every file that names it."""
    for name in ("_config.yml", *FOLLOWERS):
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        path.write_text(moved(text, old, new), encoding="utf-8")
    for path in notebooks():
        write_head(path, new)


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        raise SystemExit(f"expected a repository and a branch, got {len(arguments)} words")
    old = configured()
    pairs = zip([*arguments, "", ""], [old.name, old.branch], strict=False)
    name, branch = (new or kept for new, kept in pairs)
    if not re.fullmatch(r"\w[\w-]*/[\w.-]+", name, re.ASCII):
        raise SystemExit(f"expected REPO=owner/name, got {name!r}")
    if not re.fullmatch(r"\w[\w./-]*", branch, re.ASCII):
        raise SystemExit(f"expected BRANCH=name, got {branch!r}")
    follow(old, Repository(name, branch))
    print(f"The book's repository is {HOST}{name}, branch {branch}.")


if __name__ == "__main__":
    main(sys.argv[1:])
