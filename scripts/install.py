"""Install with pip and say what it is doing and how far it is: a torch takes minutes.

Usage: python scripts/install.py ARGUMENTS OF pip install

On a terminal one line is renewed; in a file there is a line for each large package. pip's own bars
and colors do not appear, its errors do.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
PIP += ["--no-color", "--progress-bar", "off", "--no-input"]
FILE = re.compile(r"\s*(?:Downloading|Using cached) (\S+) \(([\d.]+) (bytes|kB|MB|GB)\)")
MEGABYTES = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
LARGE = 20  # MB


def steps(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """What there is to say after each line of pip, and whether a file should say it, too."""
    count, total = 0, 0.0
    for line in lines:
        found = FILE.match(line)
        if found and not found[1].endswith(".metadata"):
            size = float(found[2]) * MEGABYTES[found[3]]
            count, total = count + 1, total + size
            name = found[1].rsplit("/", 1)[-1].split("-")[0]
            yield f"{amount(count)}, {total:,.0f} MB: {name} ({size:,.0f} MB)", size >= LARGE
        elif line.startswith(("Collecting ", "Processing ")):
            yield f"{amount(count)}, {total:,.0f} MB: looking at {name_of(line)}", False
        elif line.startswith("Installing collected packages: "):
            yield f"Unpacking {amount(line.count(',') + 1)}", True


def amount(count: int) -> str:
    return "1 package" if count == 1 else f"{count} packages"


def name_of(line: str) -> str:
    """The package of a line such as ``Collecting numpy<3,>=2 (from -r ...)``."""
    return re.split(r"[<>=!~;\[ ]", line.split()[1].rsplit("/", 1)[-1])[0].split("-")[0]


def show(lines: Iterable[str], terminal: bool) -> None:
    """Say it on one line that is renewed, or line by line."""
    for text, important in steps(lines):
        if terminal:
            print(f"\r  {text:<76}", end="", flush=True)
        elif important:
            print(f"  {text}", flush=True)
    if terminal:
        print("\r" + " " * 78, end="\r", flush=True)


def main(arguments: list[str]) -> int:
    """Install, and return pip's exit code."""
    command = [*PIP, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        show(process.stdout, sys.stdout.isatty())
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
