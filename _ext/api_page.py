"""The reference page: a fence ``{api} bnkit.module`` lists what that module's ``__all__`` names.

The signatures and docstrings are read from the source by sphinx-autoapi; bnkit is not imported, so
no torch is needed. Where torch is installed all the same, it is not read either: that took most of
the build. In docstrings a bare shape such as (N, C, *) is set as code.
"""

from __future__ import annotations

import re

from astroid.exceptions import AstroidImportError
from astroid.manager import AstroidManager
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FENCE = re.compile(r"^```\{api\} (\S+)\n```$", re.MULTILINE)
DIRECTIVE = """```{{eval-rst}}
.. autoapimodule:: {module}
   :members: {names}
```"""
SIZE = r"(?:[A-Z][a-z_]*|\d+|\*)"
SHAPE = re.compile(rf"(?<![`\w])\({SIZE}(?:, {SIZE})+\)(?![`\w])|(?<![`\w])\({SIZE},\)(?![`\w])")


def fill_fences(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace each fence of a page by the directive of sphinx-autoapi."""
    modules = app.env.autoapi_objects

    def directive(fence: re.Match[str]) -> str:
        if fence[1] not in modules:
            raise ExtensionError(f"{docname}: bnkit has no module {fence[1]}")
        return DIRECTIVE.format(module=fence[1], names=", ".join(modules[fence[1]].obj["all"]))

    source[0] = FENCE.sub(directive, source[0])


def shapes_as_code(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Set bare shapes as code, but leave examples alone."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = SHAPE.sub(r"``\g<0>``", line)


def read_bnkit_alone() -> None:
    """Have astroid treat every other package as missing."""
    read = AstroidManager.ast_from_module_name

    def read_own(manager: AstroidManager, modname: str | None, *args: object, **options: object):
        if modname and modname.split(".")[0] not in {"bnkit", "builtins"}:
            raise AstroidImportError(f"{modname} is not read", modname=modname)
        return read(manager, modname, *args, **options)

    AstroidManager.ast_from_module_name = read_own


def setup(app: Sphinx) -> dict[str, bool]:
    read_bnkit_alone()
    app.connect("source-read", fill_fences)
    app.connect("autodoc-process-docstring", shapes_as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
