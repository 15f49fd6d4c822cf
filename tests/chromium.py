"""The headless browser that tests drive: Debian's Chromium, with no request of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def chromium() -> Iterator:
    """A Playwright browser; the test is skipped where there is none, saying how to install it."""
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium, or name it in $CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, **context) -> Iterator:
    """A page of the file at ``path``; no console error and no request may occur on it."""
    page = browser.new_page(**context)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(path.as_uri())
    yield page
    page.close()
    allowed = ("data:", path.as_uri())
    assert [text[:200] for text in complaints if not text.startswith(allowed)] == []


def standalone(path, *outputs) -> None:
    """Write a bare page, with no style of its own, that holds the outputs."""
    body = "\n".join(output.source for output in outputs)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    title = "<title>widgets</title>"
    path.write_text(
        f'<!doctype html><html lang="en"><head>{head}{title}</head><body>{body}</body></html>',
        encoding="utf-8",
    )
