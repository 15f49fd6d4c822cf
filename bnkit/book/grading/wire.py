"""How observations travel between processes: as JSON, so that nothing is run by reading them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from bnkit.book.observe import Observation

__all__ = ["decode", "encode", "line", "out_of_memory", "text"]

LONGEST = 4000  # characters of a text, such as an error
LARGEST = 100_000  # numbers of a result; those of the probes have fewer than 1,000


def encode(seen: Observation) -> dict[str, object]:
    """An observation as what JSON can hold."""
    return {field.name: _plain(getattr(seen, field.name)) for field in fields(seen)}


def _plain(value: object) -> object:
    if isinstance(value, Tensor):
        if value.numel() > LARGEST:
            return f"a tensor of shape {tuple(value.shape)}"
        numbers = value.detach().to("cpu", torch.float64).reshape(-1).tolist()
        return {"shape": list(value.shape), "numbers": numbers}
    if isinstance(value, Mapping):
        return [[text(name), _plain(each)] for name, each in value.items()]
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return text(value)


def text(value: object) -> str:
    """A value as a text that is not too long to show."""
    found = str(value)
    return found if len(found) <= LONGEST else found[:LONGEST] + " …"


def out_of_memory(seen: Observation) -> bool:
    """Whether an answer asked for more memory than there was."""
    return "MemoryError" in seen.error or "can't allocate memory" in seen.error


def decode(plain: object) -> Observation:
    """The observation again; ValueError where it is anything else."""
    try:
        given = dict(plain)
        facets = {text(name): _result(value) for name, value in given.pop("facets")}
        known = {field.name: field.type for field in fields(Observation)}
        if not given.keys() <= known.keys():
            raise ValueError(f"got {sorted(given)}, expected fields of an observation")
        return Observation(facets, **{name: _word(value) for name, value in given.items()})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"got no observation: {error}") from None


def _result(value: object) -> Tensor | str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return text(value)
    shape, numbers = list(value["shape"]), list(value["numbers"])
    right = all(type(n) is int and n >= 0 for n in shape) and math.prod(shape) == len(numbers)
    if not right or not all(type(n) in (int, float) for n in numbers):
        raise ValueError(f"got {len(numbers)} numbers, expected those of shape {shape}")
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def _word(value: object) -> object:
    """A text, a yes or no, or several texts."""
    if isinstance(value, list):
        return tuple(text(each) for each in value)
    return value if isinstance(value, bool) else text(value)


def line(message: Mapping[str, object]) -> bytes:
    """A message as one line of JSON."""
    return json.dumps(message).encode() + b"\n"
