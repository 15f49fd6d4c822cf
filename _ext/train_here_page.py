"""The directive `{train-here}`, and the two scripts that every "Train it here" of the site loads.

Options are settings by the names of bnkit's `train_here`, for instance `:lr: 0.1`. What writes the
scripts is one file of bnkit, loaded by its path: the book builds where torch is not installed.
"""

from __future__ import annotations

from ast import literal_eval
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

BUILDER = Path(__file__).parents[1] / "bnkit" / "book" / "train_here_page.py"


def load_page_builder() -> ModuleType:
    spec = spec_from_file_location("train_here_page_builder", BUILDER)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_setting(text: str) -> object:
    """A number where the text is one, else the text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


class TrainHereDirective(SphinxDirective):
    option_spec = {  # noqa: RUF012
        name: directives.unchanged_required for name in load_page_builder().DEFAULTS
    }

    def run(self) -> list[nodes.Node]:
        for source in (BUILDER, *BUILDER.parent.glob("static/train_here*")):
            self.env.note_dependency(str(source))
        settings = {name: as_setting(text) for name, text in self.options.items()}
        try:
            page = load_page_builder().train_here_html(**settings)
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", page, format="html")]


def write_scripts(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        load_page_builder().write_scripts(Path(app.outdir) / "_static")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("train-here", TrainHereDirective)
    app.connect("build-finished", write_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
