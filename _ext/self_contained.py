"""Make the built site self-contained and light: no page asks another host for anything.

- MathJax comes from the package sphinx-mathjax-offline, and only the part that is used: one script
  and its fonts, 1.8 MB instead of 16. Every page loads it, since quizzes hold mathematics too.
- The theme draws its icons with a FontAwesome script of 540 KB (gzipped). The dozen icons that the
  pages really use are masks in _static/icons.css; the script and its fonts are dropped.
- Source maps are dropped.
- The theme's button that unfolds a part of the contents gets a name for screen readers. Sphinx sets
  a long signature as a list without terms: it becomes lines.
- A notebook links to a page that is no notebook by its address on the published site, since nothing
  else works in Colab. In the book itself such a link leads to the page beside it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

MATHJAX_PACKAGE = "sphinx-mathjax-offline"  # the module's name has hyphens too
MATHJAX_SCRIPT = "tex-chtml-full.js"  # tex-chtml.js stops at \boldsymbol
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"
FONTAWESOME = re.compile(r"<(script|link)\b[^>]*fontawesome[^>]*>(</script>)?\s*", re.IGNORECASE)
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*fontawesome[^}]*\}", re.IGNORECASE)
NAMELESS = re.compile(r'<summary>(?=<span class="toctree-toggle")')
NAMED = '<summary aria-label="The pages of this part">'
SIGNATURE = re.compile(r'<dl>(\s*<dd><em class="sig-param">.*?)</dl>', re.DOTALL)
GITHUB = re.compile(r"https://github\.com/([\w-]+)/([\w.-]+)")
# Set before the page is drawn, else a reader in dark mode sees a white flash.
EARLY_THEME = """
(() => {
  const root = document.documentElement.dataset;
  if (root.theme === "auto") {
    root.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
})();
"""


def mathjax_folder() -> Path:
    """The folder of MathJax inside the installed package."""
    spec = find_spec(MATHJAX_PACKAGE)
    if spec is None or spec.origin is None:
        raise ExtensionError(f"the package {MATHJAX_PACKAGE} is not installed")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(static: Path) -> None:
    source, target = mathjax_folder(), static / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / MATHJAX_SCRIPT, target / MATHJAX_SCRIPT)
    shutil.copytree(source / MATHJAX_FONTS, target / MATHJAX_FONTS, dirs_exist_ok=True)


Replacement = str | Callable[[re.Match[str]], str]


def replace(pattern: re.Pattern[str], file: Path, by: Replacement = "") -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(pattern.sub(by, text), encoding="utf-8")


def signature_lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="sig-lines">{lines}</div>'


def drop_fontawesome(site: Path) -> None:
    for page in site.rglob("*.html"):
        replace(FONTAWESOME, page)
    for sheet in (site / "_static" / "styles").glob("*.css"):
        replace(FONT_FACE, sheet)
    (site / "_static" / "scripts" / "fontawesome.js").unlink(missing_ok=True)
    shutil.rmtree(site / "_static" / "vendor" / "fontawesome", ignore_errors=True)


def published_site(repository: str) -> str:
    """Where GitHub Pages puts the book of a repository."""
    owner, name = GITHUB.fullmatch(repository).groups()
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def stay_here(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let links to the published site lead to the same page of this one."""
    site = published_site(app.config.html_theme_options["repository_url"])
    for link in doctree.findall(nodes.reference):
        address = link.get("refuri", "")
        if not address.startswith(site):
            continue
        page, _, place = address.removeprefix(site).partition("#")
        target = page.removesuffix(".html")
        if target not in app.env.found_docs:
            text = "the book has no page %s"
            logging.getLogger(__name__).warning(text, page, location=docname)
            continue
        link["refuri"] = app.builder.get_relative_uri(docname, target) + (place and f"#{place}")
        link["internal"] = True
        link["classes"] = ["internal"]


def finish(app: Sphinx, error: Exception | None) -> None:
    """Trim what the theme has copied, and add MathJax."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    copy_mathjax(static)
    drop_fontawesome(Path(app.outdir))
    for page in Path(app.outdir).rglob("*.html"):
        replace(NAMELESS, page, by=NAMED)
        replace(SIGNATURE, page, by=signature_lines)
    for source_map in static.rglob("*.map"):
        source_map.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    app.config.mathjax_path = f"mathjax/{MATHJAX_SCRIPT}"
    app.set_html_assets_policy("always")
    app.add_js_file(None, body=EARLY_THEME, priority=1)
    app.connect("doctree-resolved", stay_here)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
