"""The import graph of bnkit, read from the files: only downwards, and everything is used."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bnkit"
MODULES = {
    path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
}
LAYERS = {  # a part of bnkit and what it may import beside itself
    "functional": {"shapes"},
    "shapes": set(),
    "storage": set(),
    "layers": {"functional", "shapes"},
    "relatives": {"functional", "layers", "shapes"},
    "models": {"layers", "relatives", "storage"},
    "data": {"storage"},
    "training": {"storage"},
    "distributed": {"functional", "layers", "shapes", "training"},
    "plots": set(),
    "doctor": {"training"},
    "reference": {"data", "distributed", "models", "training"},
    "cli": {"doctor", "reference"},
    "__main__": {"cli"},
    "book": {"data", "distributed", "functional", "layers", "models", "plots", "relatives"}
    | {"storage", "training"},
}
MAX_LINES, MAX_FUNCTION, MAX_MEDIAN = 600, 40, 10


def imported(path: Path) -> set[str]:
    """The modules of bnkit that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    names = set(MODULES.values())
    known = {n if n in names else n.rpartition(".")[0] for n in found if n.startswith("bnkit.")}
    return known - {"bnkit"}


def part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("name", LAYERS)
def test_imports_only_downwards(name):
    files = [path for path, module in MODULES.items() if module.split(".")[1:2] == [name]]
    reached = {part(module) for path in files for module in imported(path)}
    assert files
    assert reached <= LAYERS[name] | {name}


def test_only_the_book_imports_the_book():
    outside = [path for path in MODULES if "book" not in path.parts]
    found = {path.name for path in outside if any(part(m) == "book" for m in imported(path))}
    assert not found


def test_a_chapter_imports_only_earlier_chapters():
    for path in PACKAGE.glob("book/ch[0-9]*.py"):
        chapters = {m for m in imported(path) if m.startswith("bnkit.book.ch")}
        assert all(m < f"bnkit.book.{path.stem}" for m in chapters), path.name


def test_every_import_of_a_notebook_exists():
    for path in sorted(ROOT.glob("chapters/[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code" or "bnkit" not in cell.source or cell.id == "setup":
                continue
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("bnkit"):
                    loaded = __import__(node.module, fromlist=["*"])
                    missing = [a.name for a in node.names if not hasattr(loaded, a.name)]
                    missing = [n for n in missing if f"{node.module}.{n}" not in MODULES.values()]
                    assert not missing, (path.name, node.module, missing)


@pytest.mark.parametrize("path", MODULES, ids=MODULES.get)
def test_a_file_has_at_most_600_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def body_lines(node: ast.FunctionDef) -> int:
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return node.end_lineno - first.lineno + 1


def test_functions_are_short():
    lengths = {}
    for path, module in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[f"{module}.{node.name}:{node.lineno}"] = body_lines(node)
    assert not {name: n for name, n in lengths.items() if n > MAX_FUNCTION}
    assert sorted(lengths.values())[len(lengths) // 2] <= MAX_MEDIAN


def words_of(source: str) -> set[str]:
    """Every name, attribute and import that a piece of code says."""
    tree = ast.walk(ast.parse(source))
    said = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
    return {getattr(n, said[type(n)]).split(".")[-1] for n in tree if type(n) in said}


def notebook_code(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    code = [c.source for c in cells if c.cell_type == "code" and c.id != "setup"]
    return "\n".join(code)


def exports(tree: ast.Module) -> set[str]:
    """What a module's ``__all__`` lists, also where it grows by ``+=``."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(getattr(target, "id", "") == "__all__" for target in targets):
                found |= set(ast.literal_eval(node.value))
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def uses(path: Path) -> set[str]:
    """The words of a file; a package's ``__init__`` uses nothing by importing it."""
    statements = [
        node
        for node in parsed(path).body
        if path.name != "__init__.py" or not isinstance(node, ast.ImportFrom)
    ]
    return words_of("\n".join(map(ast.unparse, statements)))


def test_every_public_name_has_a_user():
    folders = ("bench", "scripts", "slides", "_ext")
    paths = [path for folder in folders for path in ROOT.glob(f"{folder}/*.py")]
    shown = [words_of(notebook_code(path)) for path in ROOT.glob("chapters/[0-9]*.ipynb")]
    shown += [uses(path) for path in paths]
    tested = set().union(*(uses(path) for path in ROOT.glob("tests/*.py")))
    library = {path: uses(path) for path in MODULES}
    unused = []
    for path, module in MODULES.items():
        own = [words_of(ast.unparse(node)) for node in parsed(path).body]  # a signature names it
        others = [words for p, words in library.items() if p != path]
        of_one_chapter = module.startswith(("bnkit.book.ch", "bnkit.plots"))
        said = set().union(*shown, *others, *own, set() if of_one_chapter else tested)
        unused += [f"{module}.{name}" for name in exports(parsed(path)) - said]
    assert not unused
