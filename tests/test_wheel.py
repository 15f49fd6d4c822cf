"""The wheel holds what the package holds, and nothing that an earlier build left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "_build", "build", "dist", "__pycache__")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """What `make wheel` packs in a copy in which an earlier build left a module."""
    if not shutil.which("make"):
        pytest.skip("no make")
    copy = tmp_path_factory.mktemp("wheel") / "course"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    left = copy / "build" / "lib" / "bnkit" / "deleted_since.py"
    left.parent.mkdir(parents=True)
    left.touch()
    command = ["make", "--silent", "wheel", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (wheel,) = (copy / "dist").glob("bnkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("bnkit/")}


def test_no_module_that_was_deleted_since_an_earlier_build_is_shipped(shipped):
    assert "bnkit/deleted_since.py" not in shipped


def test_every_file_of_the_package_is_shipped(shipped):
    files = [path for path in (ROOT / "bnkit").rglob("*") if path.is_file()]
    kept = {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}
    assert {name for name in kept if not name.endswith(".todo")} == shipped
