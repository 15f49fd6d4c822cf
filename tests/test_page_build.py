"""The extension that gives pages their Python, built with and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import page_python

ROOT = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9/"  # nobody listens there
CHAPTER = "03_two_modes"


def without_network(home: Path) -> dict[str, str]:
    """The settings of a machine whose cache is empty and whose registries do not answer."""
    settings = {
        "XDG_CACHE_HOME": str(home),
        "npm_config_registry": NOWHERE,
        "npm_config_cache": str(home / "npm"),
        "PIP_INDEX_URL": NOWHERE,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "PYTHONPATH": str(ROOT / "_ext"),
    }
    return {**os.environ, **settings}


def run(*command: str, settings: dict[str, str]) -> str:
    found = subprocess.run(
        [sys.executable, *command], env=settings, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


def test_without_a_network_one_line_says_so_and_the_pages_are_as_without_it(tmp_path: Path) -> None:
    settings = without_network(tmp_path / "cache")
    said = run(str(ROOT / "scripts" / "fetch_pyodide.py"), settings=settings).splitlines()
    assert said[-1] == page_python.fetcher().MISSING.format(
        reason="the npm registry was not reached"
    )
    assert len(said) == 2 and said[0].startswith("Fetching")
    pages, site = tmp_path / "pages" / "chapters", tmp_path / "site"
    pages.mkdir(parents=True)
    (pages.parent / "index.rst").write_text(f".. toctree::\n\n   chapters/{CHAPTER}\n")
    (pages / f"{CHAPTER}.rst").write_text("Two modes\n=========\n")
    build = ("-m", "sphinx", "-q", "-W", "-C", "-D", "extensions=page_python")
    run(*build, str(pages.parent), str(site), settings=settings)
    html = (site / "chapters" / f"{CHAPTER}.html").read_text(encoding="utf-8")
    assert "Two modes" in html and "page-python" not in html and "page.js" not in html
    assert not (site / "_static" / page_python.FOLDER).exists()


def test_what_is_shipped_is_the_same_from_the_same_files(tmp_path: Path) -> None:
    files = page_python.sources()[:5]
    page_python.pack(tmp_path / "one.zip", files)
    page_python.pack(tmp_path / "two.zip", files)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
