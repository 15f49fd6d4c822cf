"""Exercises that are checked in the page: Python for it, the page's torch, the checks, the editor.

Python itself (Pyodide) lies in a cache, where `scripts/fetch_pyodide.py` puts it. Without it the
book is built as if this extension were not there. What a chapter's page loads at once is one script
and one style sheet; all else comes when a reader presses Check or Run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "page"
FOLDER = "page_python"
SCRIPTS = ("colors.js", "editor.js", "python.js", "card.js")
NOTE = (
    "Checked right here: the first press loads Python ({size:.0f} MB, once) from this site. "
    'Colab and JupyterLab work, too. <a href="{folder}licenses.txt">What is loaded</a>'
)
ELSEWHERE = (
    '<p class="bnkit-note">Open the chapter in Colab or JupyterLab to use all of PyTorch: the '
    "buttons stand on top of this page.</p>"
)
SETTINGS = 'const SETTINGS = JSON.parse(document.getElementById("page-python").textContent);'
LICENSES = """\
What the page loads when you press Check or Run, and its licenses.

Pyodide {version} (CPython in WebAssembly), Mozilla Public License 2.0.
  Unchanged files of the package pyodide in the npm registry. Source: https://github.com/pyodide/pyodide
  The license: https://www.mozilla.org/MPL/2.0/
CPython and its standard library, Python Software Foundation License.
  The license: https://docs.python.org/3/license.html
bnkit, and the page's torch: MIT, as the code of this book. The page's torch has the names and the
  behavior of PyTorch, and none of its code.
"""


def fetcher() -> ModuleType:
    """The script that knows where Python for the page lies."""
    spec = spec_from_file_location("fetch_pyodide", ROOT / "scripts" / "fetch_pyodide.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sources() -> list[tuple[Path, str]]:
    """The Python that a page gets, and the name of each file there."""
    found = [(path, str(path.relative_to(PAGE))) for path in sorted(PAGE.rglob("*.py"))]
    package = sorted((ROOT / "bnkit").rglob("*.py"))
    found += [(path, str(path.relative_to(ROOT))) for path in package]
    return [(path, name) for path, name in found if name != "describe.py"]


def pack(target: Path, files: Iterable[tuple[Path, str]]) -> None:
    """One archive, the same bytes from the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, name in files:
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)


def version() -> str:
    """Changes with whatever the page's Python is made of."""
    digest = hashlib.sha256(fetcher().VERSION.encode())
    more = [(PAGE / name, name) for name in ("worker.js", "describe.py")]
    for path, name in [*sources(), *more]:
        digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def described(of: str) -> Path:
    """What the page's checks need to know of a version's exercises: found once, and then kept."""
    target = fetcher().cache().parent / f"checks-{of}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            ready = Path(name) / "ready"
            (ready / "looks").mkdir(parents=True)
            command = [sys.executable, str(PAGE / "describe.py"), str(ready / "looks")]
            found = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
            if found.returncode:
                raise ExtensionError(f"the exercises could not be read: {found.stderr[-2000:]}")
            (ready / "exercises.json").write_text(found.stdout, encoding="utf-8")
            with contextlib.suppress(OSError):  # another build was faster
                ready.replace(target)
    return target


def describe(app: Sphinx) -> None:
    """Ask which exercises work in a page; nothing where Python for it is missing."""
    app.page_python = {}
    if app.builder.name != "html" or not fetcher().cache().is_dir():
        return
    checks = described(version())
    app.page_python = json.loads((checks / "exercises.json").read_text(encoding="utf-8"))
    folder = Path(app.outdir) / "_static" / FOLDER
    ship(folder)
    for chapter, exercises in app.page_python.items():
        looks = [checks / "looks" / f"{exercise['name']}.json" for exercise in exercises]
        files = [(path, f"baked/{path.name}") for path in looks if path.is_file()]
        pack(folder / f"looks-{chapter[:2]}.zip", files)
    app.page_python_files = version(), folder


def ship(folder: Path) -> None:
    """All that a page may ask for."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(fetcher().cache(), folder / "pyodide", dirs_exist_ok=True)
    pack(folder / "book.zip", sources())
    shutil.copyfile(PAGE / "worker.js", folder / "worker.js")
    shutil.copyfile(PAGE / "page.css", folder / "page.css")
    parts = [(PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS]
    body = "\n".join([SETTINGS, *parts, "start();"])
    (folder / "page.js").write_text(f"(() => {{\n{body}\n}})();\n", encoding="utf-8")
    text = LICENSES.format(version=fetcher().VERSION)
    (folder / "licenses.txt").write_text(text, encoding="utf-8")


def sizes(folder: Path, chapter: str) -> dict[str, int]:
    """Bytes of what is loaded with a progress bar, in the order in which the worker knows it."""
    names = (f"pyodide/{fetcher().MACHINE}.gz", "pyodide/python_stdlib.zip", "book.zip")
    names += (f"looks-{chapter[:2]}.zip",)
    return {name: (folder / name).stat().st_size for name in names}


def equip(app: Sphinx, page: str, _template: str, context: dict, _doctree: object) -> None:
    """Give a chapter's page the editor, and what it has to know of its exercises."""
    chapter = page.rpartition("/")[2]
    exercises = [e for e in app.page_python.get(chapter, ()) if e["in_book"]]
    if not exercises:
        return
    here, files = app.page_python_files
    loaded = sizes(files, chapter)
    root = context["pathto"]("index", 0).removesuffix("index.html") or "./"
    folder = f"{root}_static/{FOLDER}/"
    settings = {
        "chapter": chapter, "version": here, "folder": folder, "root": root, "sizes": loaded,
        "note": NOTE.format(size=sum(loaded.values()) / 1e6 + 1.3, folder=folder),
        "elsewhere": ELSEWHERE, "exercises": exercises,
    }  # fmt: skip
    body = json.dumps(settings, ensure_ascii=False).replace("<", "\\u003c")
    app.add_js_file(None, body=body, type="application/json", id="page-python")
    app.add_js_file(f"{FOLDER}/page.js", loading_method="defer")
    app.add_css_file(f"{FOLDER}/page.css")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", describe)
    app.connect("html-page-context", equip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
