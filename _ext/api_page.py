"""The reference pages: a fence ``{api} bnkit.module`` lists what that module's ``__all__`` names.

Names after the module's choose among them. What a module's docstring calls its limits gets a
heading of its own, behind the list. A type in a signature links to where it is listed, which is
the package and not the file that holds it, and has its short name in any case.

The signatures and docstrings are read from the source by sphinx-autoapi; bnkit is not imported, so
no torch is needed. Where torch is installed all the same, it is not read either: that took most of
the build. In docstrings a bare shape such as (N, C, *) is set as code.
"""

from __future__ import annotations

import re

from astroid.exceptions import AstroidImportError
from astroid.manager import AstroidManager
from docutils import nodes
from sphinx.addnodes import pending_xref, pending_xref_condition
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

FENCE = re.compile(r"^```\{api\} (\S+)((?: \w+)*)\n```$", re.MULTILINE)
DIRECTIVE = """```{{eval-rst}}
.. autoapimodule:: {module}
   :members: {names}
```"""
LIMITS = "Limits, each with its reason:"
LIMITS_SECTION = """

## Limits

```{{eval-rst}}
{limits}
```"""
SIZE = r"(?:[A-Z][a-z_]*|\d+|\*)"
SHAPE = re.compile(rf"(?<![`\w])\({SIZE}(?:, {SIZE})+\)(?![`\w])|(?<![`\w])\({SIZE},\)(?![`\w])")


def fill_fences(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace each fence of a page by the directive of sphinx-autoapi."""
    modules = app.env.autoapi_objects

    def directive(fence: re.Match[str]) -> str:
        name, chosen = fence[1], fence[2].split()
        if name not in modules:
            raise ExtensionError(f"{docname}: bnkit has no module {name}")
        if unknown := set(chosen) - set(modules[name].obj["all"]):
            raise ExtensionError(f"{docname}: {name} has no {', '.join(sorted(unknown))}")
        names = ", ".join(chosen or modules[name].obj["all"])
        limits = modules[name].obj["doc"].partition(LIMITS)[2]
        section = LIMITS_SECTION.format(limits=limits.strip()) if limits else ""
        return DIRECTIVE.format(module=name, names=names) + section

    source[0] = FENCE.sub(directive, source[0])


def limits_apart(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Leave out of a module's docstring what `fill_fences` puts under a heading."""
    if what == "module" and LIMITS in lines:
        del lines[lines.index(LIMITS) :]


def skip_bare_names(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool:
    """Leave out what has no docstring: a field, which its class describes among its arguments."""
    return skip or (what == "apiclass" and not getattr(obj, "docstring", name))


def shapes_as_code(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Set bare shapes as code, but leave examples alone."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = SHAPE.sub(r"``\g<0>``", line)


def link_type(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, name: nodes.Element
) -> nodes.Element | None:
    """Link a type to the package that lists it; what no page lists is its short name alone."""
    if node["refdomain"] != "py" or node["reftype"] != "class":
        return None
    path, _, kind = node["reftarget"].rpartition(".")
    if path.startswith("bnkit."):
        listed = f"{path.rpartition('.')[0]}.{kind}"
        python, place = env.get_domain("py"), node["refdoc"]
        found = python.resolve_xref(env, place, app.builder, "class", listed, node, name)
        if found:
            return found
    return name if isinstance(node[0], pending_xref_condition) else None


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
    app.connect("autodoc-process-docstring", limits_apart, priority=400)  # before Napoleon
    app.connect("autodoc-process-docstring", shapes_as_code)
    app.connect("autodoc-skip-member", skip_bare_names)
    app.connect("missing-reference", link_type)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
