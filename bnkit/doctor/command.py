"""``python -m bnkit examine``: a model by its name, its weights, and the report."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from bnkit.doctor.examining import examine

__all__ = ["run"]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
NESTED = ("state_dict", "model_state_dict", "model")  # where a checkpoint keeps the weights


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 where something as grave as ``--fail-on`` was found."""
    try:
        model = _made(options.model)
        if not isinstance(model, nn.Module):
            raise ValueError(f"expected a model of {options.model}, got {type(model).__name__}")
        if options.weights:
            _load(model, options.weights)
        loader = _made(options.data) if options.data else None
        report = examine(model.eval() if options.eval else model, loader)
    except (ValueError, OSError) as error:
        options.parser.error(str(error).splitlines()[0])
    print(json.dumps(report.to_dict()) if options.json else report)
    try:
        report.raise_if(options.fail_on)
    except RuntimeError:
        return 1
    return 0


def _made(name: str) -> object:
    """What the function of this name makes; the folder one stands in comes first on the path."""
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        make: Callable[[], object] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module {error.name!r}, asked for by {name}") from None
    except AttributeError:
        raise ValueError(f"module {module!r} has no {function!r}") from None
    return make()


def _load(model: nn.Module, path: Path) -> None:
    """Load a state_dict; statistics that it lacks are for the doctor to find."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle and zip have an exception for each broken byte
        kind = type(error).__name__
        raise ValueError(f"cannot read weights from {str(path)!r}: {kind}") from None
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
