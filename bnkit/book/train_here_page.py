"""The explorable "Train it here" as plain HTML: the standard library alone, as the playground's.

A page carries a few lines that, when the reader asks, load two scripts of the site: the explorable,
and a few thousand digits. Scripts, since a page opened from the disk may load nothing else. Where
there is no site, beside a kernel, the output carries both itself.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import random
import re
from functools import cache
from pathlib import Path

__all__ = ["DEFAULTS", "SCRIPTS", "checked", "train_here_html", "write_scripts"]

STATIC = Path(__file__).parent / "static"
ASSETS = Path(__file__).parents[1] / "assets"
SIZE, VALIDATION, TRAINING = 784, 1_000, 4_000
HEADERS = {"images": 16, "labels": 8}  # bytes before the data of an IDX file
NORMS = ("batch", "layer", "group", "none")
# What train_here_settings.js offers; a test compares.
CHOICES = {
    "left": NORMS,
    "right": NORMS,
    "depth": tuple(range(1, 7)),
    "width": (32, 64, 96, 128),
    "optimizer": ("sgd", "adam"),
    "lr": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    "batch": tuple(2**power for power in range(1, 10)),
    "scale": (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
    "statistics": ("running", "batch"),
}
DEFAULTS = {
    "left": "batch",
    "right": "none",
    "depth": 1,
    "width": 128,
    "optimizer": "adam",
    "lr": 0.001,
    "batch": 64,
    "scale": 1,
    "seed": 0,
    "statistics": "running",
}
MAX_SEED = 9999
WEIGHT = "1.1 MB"  # of the digits; a test compares
PAGE = ("settings", "pictures")  # of train_here.js; and of the worker, in the order of their needs
WORKER = ("digits", "network", "optimizers", "race", "worker")
SCRIPTS = ("train_here.js", "train_here_digits.js")  # of the site, in _static


def train_here_html(alone: bool = False, **settings) -> str:
    """The explorable as HTML; ``alone`` carries scripts and digits for where there is no site."""
    settings = checked(settings)
    carried = _CARRIED.format(*map(_inert, (explorable(), digits()))) if alone else ""
    values = {"settings": settings, "scripts": SCRIPTS, "weight": WEIGHT}
    data = json.dumps(values, separators=(",", ":"))
    loader = _compact("train_here_loader.js")
    return _PAGE.format(
        name=_short_hash(loader + data + carried),
        style=_compact("train_here_poster.css"),
        setting=html.escape(described(settings)),
        weight=WEIGHT,
        carried=carried,
        loader=loader,
        data=data,
    )


def checked(settings: dict) -> dict:
    """The defaults, overlaid with what the caller gives; only what the lists offer."""
    if unknown := sorted(set(settings) - set(DEFAULTS)):
        raise ValueError(f"train_here got {', '.join(unknown)}; it knows {', '.join(DEFAULTS)}")
    merged = DEFAULTS | settings
    for name, choices in CHOICES.items():
        if merged[name] not in choices:
            offered = ", ".join(map(str, choices))
            raise ValueError(f"train_here got {name}={merged[name]!r}, expected one of {offered}")
    if merged["seed"] not in range(MAX_SEED + 1):
        raise ValueError(f"train_here got seed={merged['seed']!r}, expected 0 to {MAX_SEED}")
    return merged


def described(settings: dict) -> str:
    """The setting in a line, for whoever has not started it."""
    sides = " and ".join(_NAMES[settings[side]] for side in ("left", "right"))
    sizes = "-".join(["784", *[str(settings["width"])] * settings["depth"], "10"])
    scale = "" if settings["scale"] == 1 else f", hidden weights times {settings['scale']}"
    optimizer = {"sgd": "SGD", "adam": "Adam"}[settings["optimizer"]]
    return f"{sides}, {sizes}, {optimizer} at {settings['lr']}, batches of {settings['batch']}" + (
        scale
    )


def write_scripts(folder: Path) -> None:
    """Write the explorable and its digits where the site's pages look for them."""
    for name, text in _SOURCES.items():
        (folder / name).write_text(text(), encoding="utf-8")


@cache
def explorable() -> str:
    """All of the explorable but the digits, as one classic script."""
    worker = json.dumps(f"(() => {{\n{_joined(WORKER)}\n}})();").replace("</", "<\\/")
    style = json.dumps(_compact("train_here.css"))
    page = _joined(PAGE) + "\n" + _without_modules("train_here.js")
    constants = f"const WORKER = {worker}, STYLE = {style};"
    return "\n".join(["(() => {", page, constants, _compact("train_here_entry.js"), "})();"])


@cache
def digits() -> str:
    """1,000 validation and 4,000 training digits, those of `bundled_mnist`, as a classic script."""
    parts = {name: _idx(name) for name in HEADERS}
    count = len(parts["labels"])
    shuffle = random.Random(0)  # as bnkit.data shuffles them: its test digits validate here
    order = sorted(range(count), key=lambda _: shuffle.random())[: VALIDATION + TRAINING]
    images = b"".join(parts["images"][SIZE * i : SIZE * (i + 1)] for i in order)
    labels = bytes(parts["labels"][i] for i in order)
    packed = base64.b64encode(gzip.compress(images + labels, 6, mtime=0)).decode()
    data = {"size": SIZE, "validation": VALIDATION, "gzip": packed}
    return f"globalThis.bnkitDigits = {json.dumps(data)};"


def _idx(name: str) -> bytes:
    dimensions = {"images": 3, "labels": 1}[name]
    path = ASSETS / f"digits-{name}-idx{dimensions}-ubyte.gz"
    return gzip.decompress(path.read_bytes())[HEADERS[name] :]


def _joined(names: tuple[str, ...]) -> str:
    return "\n".join(_without_modules(f"train_here_{name}.js") for name in names)


def _without_modules(name: str) -> str:
    """A module's source for a scope that it shares with what it imports."""
    text = re.sub(r"^import .*;$", "", _compact(name), flags=re.MULTILINE)
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def _compact(name: str) -> str:
    """A source file without its comments on lines of their own and its indentation."""
    lines = (line.strip() for line in (STATIC / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _inert(script: str) -> str:
    assert "</script" not in script
    return script


_SOURCES = {SCRIPTS[0]: explorable, SCRIPTS[1]: digits}
_NAMES = {"batch": "batch norm", "layer": "layer norm", "group": "group norm", "none": "no norm"}
_CARRIED = '<script type="text/plain">{}</script><script type="text/plain">{}</script>'
_PAGE = """<div class="bnkit-train-here" data-bnkit="{name}">
<style>{style}</style>
<div class="bntr-poster"><p><strong>Train it here.</strong> Two networks learn to read digits in \
this page, side by side and from the same batches: {setting}.</p>
<p class="bntr-ask"><button type="button">Open the two networks</button> <small>Training fetches \
{weight} of digits once.</small></p>
<p class="bntr-paper">On paper nothing trains: open this page in a browser.</p>
<noscript><p>It needs JavaScript.</p></noscript></div>
{carried}<script>(() => {{
{loader}
open("{name}", {data});
}})();</script>
</div>"""
