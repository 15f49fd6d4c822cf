"""The directive `{playground}`: the draggable mini-batch on a page written in Markdown.

Options are numbers by the names of bnkit's playground, for instance `:gamma: 2`. The HTML comes
from one file of bnkit, loaded by its path: the book builds where torch is not installed.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PACKAGE = Path(__file__).parents[1] / "bnkit" / "book"
SOURCES = ["playground_page.py", "static/playground.js", "static/playground.css"]


def load_page_builder() -> ModuleType:
    spec = spec_from_file_location("playground_page_builder", PACKAGE / SOURCES[0])
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PlaygroundDirective(SphinxDirective):
    option_spec = {  # noqa: RUF012
        name: directives.unchanged_required
        for name in ("x", "gamma", "beta", "eps", "population_mean", "population_sd", "seed")
    }

    def run(self) -> list[nodes.Node]:
        for source in SOURCES:
            self.env.note_dependency(str(PACKAGE / source))
        state = {name: float(text) for name, text in self.options.items() if name != "x"}
        if "x" in self.options:
            state["x"] = [float(text) for text in self.options["x"].replace(",", " ").split()]
        try:
            page = load_page_builder().playground_html(**state)
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", page, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("playground", PlaygroundDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
