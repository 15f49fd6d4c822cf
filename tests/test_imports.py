"""The import graph of bnkit: only downwards.

A module split off another for its length is no row of the table: its imports count as those of
whoever imports it.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bnkit"
MAY_IMPORT = {
    "functional": set(),
    "data": set(),
    "layers": {"functional"},
    "storage": set(),
    "models": {"layers", "storage"},
    "parallel": set(),
    "training": {"parallel", "storage"},
    "distributed": {"functional", "layers"},
    "plots": set(),
    "explore": {"functional", "plots"},
    "quiz": set(),
    "questions": {"quiz"},
    "checks": {"functional", "layers", "training", "distributed"},
    "workers": {"distributed", "models", "data", "training"},
    "cli": {
        *("functional", "data", "layers", "models", "storage"),
        *("training", "parallel", "distributed", "workers"),
    },
    "claims": set(),
}


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_imports_only_downwards(module):
    assert reached(module, {module}) <= MAY_IMPORT[module] | {module}


def reached(module, seen):
    """The table's modules that `module` imports, itself or through modules not in the table."""
    found = set()
    for name in imported(module) - seen:
        seen.add(name)
        found |= {name} if name in MAY_IMPORT else reached(name, seen)
    return found


def imported(module):
    files = [f for f in (PACKAGE / f"{module}.py", *(PACKAGE / module).rglob("*.py")) if f.exists()]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("bnkit.")}


def test_the_graph_is_read_from_the_files():
    assert "functional" in reached("layers", {"layers"})
