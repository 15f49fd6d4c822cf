"""What `make` says during a long installation, and that nothing of it is colored in a file."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "install.py"
PIP = """Collecting torch>=2.4 (from bnkit)
  Downloading torch-2.9-cp311-manylinux.whl.metadata (30 kB)
  Downloading https://example.org/a/torch-2.9-cp311-manylinux.whl (190.7 MB)
Collecting numpy
  Using cached numpy-2.3-cp311.whl (500 kB)
Installing collected packages: numpy, torch
Successfully installed numpy-2.3 torch-2.9
"""


@pytest.fixture(scope="module")
def install():
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_file_gets_a_line_for_what_is_large_and_for_the_unpacking(install, capsys):
    install.show(PIP.splitlines(), terminal=False)
    assert capsys.readouterr().out.splitlines() == [
        "  1 package, 191 MB: torch (191 MB)",
        "  Unpacking 2 packages",
    ]


def test_a_terminal_gets_one_line_that_ends_empty(install, capsys):
    install.show(PIP.splitlines(), terminal=True)
    out = capsys.readouterr().out
    assert "looking at torch " in out
    assert "\n" not in out and "2 packages, 191 MB: numpy" in out and out.endswith(" \r")


def test_pips_errors_and_its_code_come_through_without_colors():
    command = [sys.executable, SCRIPT, "--no-index", "no-such-package-anywhere"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "no-such-package-anywhere" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
