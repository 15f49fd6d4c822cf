"""``python -m bnkit examine``: a model by its name, its weights, and the report."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb

import torch
from torch import nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from bnkit.doctor.examining import examine
from bnkit.doctor.report import Report

__all__ = ["run"]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
SAVED = "expected what torch.save(model.state_dict(), file) writes"
NESTED = ("state_dict", "model_state_dict", "model")  # where a checkpoint keeps the weights


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 where something as grave as ``--fail-on`` was found."""
    try:
        report = _report(options)
    except (ValueError, OSError) as error:
        options.parser.error(_first_line(error))
    print(json.dumps(report.to_dict()) if options.json else report)
    try:
        report.raise_if(options.fail_on)
    except RuntimeError:
        return 1
    return 0


def _report(options: argparse.Namespace) -> Report:
    model = _made(options.model, nn.Module)
    if not isinstance(model, nn.Module):
        raise ValueError(f"expected a model of {options.model}, got {type(model).__name__}")
    if options.weights:
        _load(model, options.weights)
    loader = _made(options.data, Iterable) if options.data else None
    try:
        return examine(model.eval() if options.eval else model, loader)
    except ValueError:
        raise
    except Exception as error:  # of the model's own forward pass, or of the loader
        raise ValueError(f"the model fails on this data: {_told(error)}") from None


def _made(name: str, wanted: type) -> object:
    """What the function of this name makes, or the object that it names, if that is wanted."""
    named = _named(*name.split(":"))
    if isinstance(named, wanted):
        return named
    if not callable(named):
        raise ValueError(f"expected a function, but {name} is of type {type(named).__name__}")
    try:
        return named()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{name}() fails: {_told(error)}") from None


def _named(module: str, attribute: str) -> object:
    """An attribute of a module; the folder one stands in comes first on the path."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module {error.name!r}, asked for by {module}:{attribute}") from None
    except (Exception, SystemExit) as error:
        raise ValueError(f"importing {module!r} fails: {_told(error)}") from None
    if not hasattr(found, attribute):
        near = get_close_matches(attribute, dir(found), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"module {module!r} has no {attribute!r}{meant}")
    return getattr(found, attribute)


def _told(error: BaseException) -> str:
    """An exception of code that is not ours, in one line that says where it arose."""
    frames = extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename != __file__ and "importlib" not in f.filename]
    where = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {_first_line(error)}{where}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]


def _load(model: nn.Module, path: Path) -> None:
    """Load a state_dict; statistics that it lacks are for the doctor to find."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle and zip have an exception for each broken byte
        kind = type(error).__name__
        raise ValueError(f"cannot read weights from {str(path)!r}: {kind}; {SAVED}") from None
    if not isinstance(state, dict):
        raise ValueError(f"{str(path)!r} holds a {type(state).__name__}; {SAVED}")
    state = next((state[name] for name in NESTED if isinstance(state.get(name), dict)), state)
    consume_prefix_in_state_dict_if_present(state, "module.")  # of DistributedDataParallel
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{str(path)!r}: {str(error).splitlines()[-1].strip()}") from None
    lost = [name for name in missing if not name.endswith(STATISTICS)]
    if lost or unexpected:
        what = f"lacks {lost[0]}" if lost else f"has {unexpected[0]}, which the model lacks"
        raise ValueError(f"expected weights of this model, but {str(path)!r} {what}")
