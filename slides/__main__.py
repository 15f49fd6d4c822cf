"""Build the slides: ``python -m slides FOLDER [CHAPTER ...]``, such as ``dist/slides 02 04``.

The folder holds a page for each chapter and all that they need, reveal.js and MathJax included: the
decks run without a network, from a server or from the disk. reveal.js comes with the package
sphinx-revealjs, MathJax as in the book.
"""

from __future__ import annotations

import html
import shutil
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import nbformat

from slides.choose import slides_of
from slides.render import page, plain, without_sections

ROOT = Path(__file__).parents[1]
BOOK = "Batch Normalization, Measured"
REVEAL = ("dist/reveal.js", "dist/reveal.css", "dist/theme", "plugin/notes", "LICENSE")
INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides · {book}</title>
<link rel="stylesheet" href="deck.css">
</head>
<body class="deck-index">
<h1>{book}: slides</h1>
<p>The arrow keys turn the pages, S opens the speaker's notes, F fills the screen, ? lists the rest.
With <code>?print-pdf</code> behind a deck's address it prints one slide a page.</p>
<ol>
{items}
</ol>
</body>
</html>
"""


def build(folder: Path, notebooks: list[Path]) -> None:
    """Write the decks of the notebooks, what they need, and a page that lists them."""
    mathjax = copy_assets(folder)
    items = []
    for path in notebooks:
        slides, number = slides_of(nbformat.read(path, as_version=4)), int(path.stem[:2])
        text = page(number, slides, BOOK, mathjax)
        (folder / f"{path.stem}.html").write_text(text, encoding="utf-8")
        title = html.escape(plain(slides[0].title))
        link = f'<a href="{path.stem}.html">{title}</a>, {len(slides)} slides'
        items.append(f'<li value="{number}">{link}</li>')
    index = INDEX.format(book=BOOK, items="\n".join(items))
    (folder / "index.html").write_text(index, encoding="utf-8")


def copy_assets(folder: Path) -> str:
    """Put reveal.js, MathJax and the look of the decks into the folder; the name of the script."""
    folder.mkdir(parents=True, exist_ok=True)
    source = reveal_folder()
    for name in REVEAL:
        target = folder / "reveal" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("*.map")
            shutil.copytree(source / name, target, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copyfile(source / name, target)
    for name in ("deck.css", "deck.js"):
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    copy_training(folder / "_static")
    book = load(ROOT / "_ext" / "self_contained.py")
    book.copy_mathjax(folder)
    return book.MATHJAX_SCRIPT


def copy_training(folder: Path) -> None:
    """Put the scripts of "Train it here" where its button looks for them."""
    page = load(ROOT / "bnkit" / "book" / "train_here_page.py")  # by its path: torch is not needed
    folder.mkdir(exist_ok=True)
    page.write_scripts(folder)
    for file in folder.glob("*.js"):
        text = without_sections(file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")


def reveal_folder() -> Path:
    """The folder of reveal.js inside the installed package."""
    spec = find_spec("sphinx_revealjs")
    if spec is None or spec.origin is None:
        raise SystemExit("the package sphinx-revealjs is not installed: make install")
    return Path(spec.origin).parent / "_static" / "revealjs"


def load(path: Path) -> ModuleType:
    """The module in a file."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str]) -> None:
    """Build the decks of the chapters that are named by number, or of all."""
    folder, *numbers = arguments
    found = sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
    chosen = [path for path in found if not numbers or path.stem[:2] in numbers]
    if unknown := sorted(set(numbers) - {path.stem[:2] for path in found}):
        raise SystemExit(f"got chapter {' '.join(unknown)}, expected numbers such as 02")
    build(Path(folder), chosen)
    print(f"{len(chosen)} decks are built: open {Path(folder) / 'index.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
