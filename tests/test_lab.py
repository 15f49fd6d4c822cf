"""`make lab` as a reader meets it, who in a container is often root."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab\?token=\w+")
SETTINGS = re.compile(r'id="jupyter-config-data"[^>]*>(.+?)</script>', re.DOTALL)


def page_at(address: str) -> str:
    """The page there, as soon as the server that has named the address answers."""
    for _ in range(60):
        try:
            with urllib.request.urlopen(address, timeout=60) as page:
                return page.read().decode()
        except urllib.error.URLError:
            time.sleep(0.5)
    pytest.fail("nothing answers")


@pytest.fixture(scope="module")
def lab():
    """What it said until it had an address, and the settings of the page there."""
    pytest.importorskip("jupyterlab")
    if not shutil.which("make") or sys.platform == "win32":
        pytest.skip("no make")
    process = subprocess.Popen(
        ["make", "--silent", "lab", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        env=os.environ | {"BROWSER": "true", "no_proxy": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := ADDRESS.search(line):
                break
        else:
            pytest.fail("".join(said))
        yield said, json.loads(SETTINGS.search(page_at(found[0]))[1])
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()


def test_it_starts_and_warns_of_nothing(lab):
    assert not [line for line in lab[0] if line.startswith(("[W", "[E"))]
    assert "nbgrader" not in "".join(lab[0])


def test_nothing_for_teachers_and_no_news_get_into_a_readers_way(lab):
    disabled = set(lab[1]["disabledExtensions"])
    assert disabled >= {"@jupyter/nbgrader", "@jupyterlab/apputils-extension:announcements"}
