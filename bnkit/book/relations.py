"""How wrong results are related to the right ones, where no known mistake explains them.

A root not taken, two results exchanged, a percentage, a sum for a mean: such an answer is told what
its numbers are, though nobody foresaw how it came to them. A relation counts only if it holds for
every number of every probe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from bnkit.book.observe import ATOL, RTOL, Observation

__all__ = ["Relation", "relation"]

Numbers = list[tuple[Tensor, Tensor]]  # the right result and the received one, probe by probe
Inputs = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Relation:
    """What the results are in place of the right ones, and a question that leads to it."""

    name: str
    hint: str


_OF_EACH: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "a wrong sign": (torch.neg, "Which of two numbers is subtracted from the other?"),
    "the sign is lost": (torch.abs, "Can the right result be negative?"),
    "the square root is not taken": (torch.square, "In which unit should it come out?"),
    "a root too many": (torch.sqrt, "In which unit should it come out?"),
    "upside down": (torch.reciprocal, "Which of the two belongs under the line?"),
    "in percent": (lambda x: 100 * x, "A share lies between 0 and 1. Does yours?"),
    "a hundredth": (lambda x: x / 100, "A percentage, or a share?"),
    "1 minus the right one": (lambda x: 1 - x, "What do you count: the ones, or the others?"),
    "180 minus the right one": (lambda x: 180 - x, "Which of the two angles is it?"),
    "in radians": (torch.deg2rad, "A right angle should be 90. What do you return for one?"),
    "in degrees": (torch.rad2deg, "Which unit is asked for?"),
    "in degrees twice": (lambda x: torch.rad2deg(torch.rad2deg(x)), "Convert once."),
    "in radians twice": (lambda x: torch.deg2rad(torch.deg2rad(x)), "Which way do you convert?"),
    "the exponential of the right one": (torch.exp, "Is there a step after the last one?"),
    "the logarithm of the right one": (torch.log, "Is there a step after the last one?"),
    "rounded": (torch.round, "Is a whole number asked for?"),
    "rounded up": (torch.ceil, "Is a whole number asked for?"),
    "rounded down": (torch.floor, "Is a whole number asked for?"),
}

_OF_COUNTS: dict[str, tuple[Callable[[float], float], str]] = {
    "{n} times the right one": (lambda n: n, "A sum, or a mean? By what should it be divided?"),
    "the right one divided by {n}": (lambda n: 1 / n, "What is divided by a count that need not?"),
    "divided by {n} minus 1": (lambda n: n / (n - 1), "Is the biased variance asked for?"),
    "divided by {n}, not by one less": (lambda n: (n - 1) / n, "Is it an unbiased variance?"),
    "the root of {n} times the right one": (math.sqrt, "By what does a root divide?"),
    "the right one divided by the root of {n}": (
        lambda n: 1 / math.sqrt(n),
        "A count used twice?",
    ),
}


def relation(
    inputs: Inputs, expected: Sequence[Observation], seen: Sequence[Observation]
) -> Relation | None:
    """What the received results are, in terms of the right ones or of the inputs, in all probes."""
    both = [(e, s) for e, s in zip(expected, seen, strict=True) if not s.fell]
    given = [i for i, s in zip(inputs, seen, strict=True) if not s.fell]
    differing = _differing(both)
    if len(both) < 2 or not differing:
        return None
    found = _exchanged(both, differing)
    if found:
        return found
    each = {name: _of_one(name, both, given) for name in differing}
    told = [known for known in each.values() if known]
    if not told:
        return None
    rest = [f"{name} differs" for name, known in each.items() if not known]
    return Relation(" and ".join([*_together(each), *rest]), told[0].hint)


def _together(each: dict[str, Relation | None]) -> list[str]:
    """The names of the relations; what many results share is said once."""
    by_words: dict[str, list[str]] = {}
    for name, known in each.items():
        if known:
            by_words.setdefault(known.name.removeprefix(f"{name}: "), []).append(name)
    return [f"{_subject(names)}: {words}" for words, names in by_words.items()]


def _subject(names: Sequence[str]) -> str:
    rest = f"{len(names) - 1} other results"
    return " and ".join(names if len(names) < 3 else [names[0], rest])


def _numbers(both: Sequence[tuple[Observation, Observation]], of: str, by: str) -> Numbers | None:
    """The right result `of` and the received `by` of each probe; None where one is no number."""
    pairs = [(e.facets.get(of), s.facets.get(by)) for e, s in both if of in e.facets]
    known = all(isinstance(a, Tensor) and isinstance(b, Tensor) for a, b in pairs)
    return pairs if pairs and known else None


def _same(a: object, b: object) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return False
    return a.shape == b.shape and torch.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True)


def _differing(both: Sequence[tuple[Observation, Observation]]) -> list[str]:
    """The results, gradients aside, that differ as numbers in some probe."""
    names = dict.fromkeys(name for e, _ in both for name in e.facets)
    values = [name for name in names if not name.startswith("gradient")]
    found = []
    for name in values:
        pairs = _numbers(both, name, name)
        if pairs is not None and not all(_same(a, b) for a, b in pairs):
            found.append(name)
    return found


def _exchanged(
    both: Sequence[tuple[Observation, Observation]], differing: Sequence[str]
) -> Relation | None:
    for a in differing:
        for b in differing:
            first, second = _numbers(both, a, b), _numbers(both, b, a)
            if a < b and first and second and all(_same(*pair) for pair in first + second):
                name = f"{a} and {b} are exchanged"
                return Relation(name, "In which order does the statement name the results?")
    return None


def _of_one(
    name: str, both: Sequence[tuple[Observation, Observation]], inputs: Inputs
) -> Relation | None:
    pairs = _numbers(both, name, name)
    wrong = pairs and [(a, b) for a, b in pairs if not _same(a, b)]
    if not wrong or not any(a.numel() for a, _ in wrong):
        return None
    found = _shape(name, pairs) or _other(name, both, inputs) or _elementwise(name, pairs)
    found = found or _by_counts(name, pairs, inputs) or _constant(name, pairs)
    return found or _up_to(name, pairs)


def _shape(name: str, pairs: Numbers) -> Relation | None:
    if all(a.dim() == 2 and _same(a.T, b) for a, b in pairs):
        return Relation(f"{name}: transposed", "Print its shape. Which axis comes first?")
    if all(a.numel() == b.numel() and _same(a.flatten(), b.flatten()) for a, b in pairs):
        a, b = next((a, b) for a, b in pairs if a.shape != b.shape)
        shapes = f"{tuple(b.shape)} in place of {tuple(a.shape)}"
        return Relation(f"{name}: the right numbers with shape {shapes}", "Print its shape.")
    return None


def _up_to(name: str, pairs: Numbers) -> Relation | None:
    """Right up to the same place along an axis, and nowhere beyond; smaller probes are right."""
    wrong = [(a, b) for a, b in pairs if not _same(a, b)]
    if any(a.shape != b.shape for a, b in wrong):
        return None
    differ = [~torch.isclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True) for a, b in wrong]
    for axis in range(min(d.dim() for d in differ)):
        first = {_first_along(d, axis) for d in differ}
        at = first.pop()
        small = all(a.dim() > axis and a.shape[axis] <= at for a, b in pairs if _same(a, b))
        if at and not first and small and len(pairs) > len(wrong):
            words = f"right for the first {at} along axis {axis}, and wrong beyond"
            hint = f"Which of your lines knows of {at}? Make an input with {at + 1}."
            return Relation(f"{name}: {words}", hint)
    return None


def _first_along(differ: Tensor, axis: int) -> int:
    """The first place along an axis with a difference, from which on every place has one."""
    along = differ.movedim(axis, 0).flatten(1).any(1) if differ.dim() > 1 else differ
    first = int(along.int().argmax())
    return first if bool(along[first:].all()) else 0


def _other(
    name: str, both: Sequence[tuple[Observation, Observation]], inputs: Inputs
) -> Relation | None:
    """Another of the results, or one of the inputs as it came."""
    for other in both[0][0].facets:
        pairs = _numbers(both, other, name)
        if other != name and pairs and all(_same(a, b) for a, b in pairs):
            return Relation(f"{name}: that is {other}", "Which of your results is it?")
    received = [s.facets.get(name) for _, s in both]
    for given in inputs[0]:
        values = [i.get(given) for i in inputs]
        plain = all(isinstance(v, int | float | Tensor) for v in values)
        if plain and all(
            _same(torch.as_tensor(v, dtype=torch.float64), b)
            for v, b in zip(values, received, strict=True)
        ):
            return Relation(f"{name}: that is {given} as it came", "What has been done with it?")
    return None


def _elementwise(name: str, pairs: Numbers) -> Relation | None:
    for words, (function, hint) in _OF_EACH.items():
        made = [(a, function(a)) for a, _ in pairs]
        if _telling(made) and all(_same(m, b) for (_, m), (_, b) in zip(made, pairs, strict=True)):
            return Relation(f"{name}: {words}", hint)
    return None


def _telling(made: Numbers) -> bool:
    """Whether a function makes at least two different new numbers, in at least two probes."""
    changed = [m[~torch.isclose(m, a, rtol=RTOL, atol=ATOL)] for a, m in made]
    values = torch.cat(changed).unique() if changed else torch.zeros(0)
    return sum(c.numel() > 0 for c in changed) > 1 and values.numel() > 1


def _by_counts(name: str, pairs: Numbers, inputs: Inputs) -> Relation | None:
    for words, counts in _counts(inputs):
        for form, (function, hint) in _OF_COUNTS.items():
            try:
                factors = [function(n) for n in counts]
            except (ValueError, ZeroDivisionError):
                continue
            changed = zip(factors, pairs, strict=False)
            varied = len(set(counts)) > 1 and len(counts) == len(pairs)
            telling = _telling([(a, f * a) for f, (a, _) in zip(factors, pairs, strict=False)])
            if varied and telling and all(_same(f * a, b) for f, (a, b) in changed):
                return Relation(f"{name}: {form.format(n=words)}", hint)
    return None


def _counts(inputs: Inputs) -> Iterator[tuple[str, list[float]]]:
    """What can be counted in every probe: the sizes of its inputs, and the numbers given."""
    for given, first in inputs[0].items():
        values = [i.get(given) for i in inputs]
        if isinstance(first, Tensor) and all(
            isinstance(v, Tensor) and v.dim() == first.dim() for v in values
        ):
            yield f"the number of values in {given}", [float(v.numel()) for v in values]
            yield f"the sum of {given}", [float(v.sum()) for v in values]
            for axis in range(first.dim()):
                yield f"the size of axis {axis} of {given}", [float(v.shape[axis]) for v in values]
        elif all(isinstance(v, list) for v in values):
            yield f"the length of {given}", [float(len(v)) for v in values]
        elif all(type(v) in (int, float) and math.isfinite(v) for v in values):
            yield given, [float(v) for v in values]


def _simple(factor: float) -> float:
    """The simple fraction that a factor is within what a check sees, or else the factor."""
    near = float(Fraction(factor).limit_denominator(8))
    return near if near and abs(near - factor) <= RTOL * abs(near) else factor


def _constant(name: str, pairs: Numbers) -> Relation | None:
    """One factor, or one number added, everywhere."""
    if any(a.shape != b.shape for a, b in pairs):
        return None
    right, received = (torch.cat([pair[i].flatten() for pair in pairs]) for i in (0, 1))
    known = right.isfinite() & received.isfinite()
    right, received = right[known], received[known]
    if len(right) < 3 or not right.std() > 0:
        return None
    at = right.abs().argmax()
    factor, added = (received / right)[at], (received - right)[at]
    if factor and torch.allclose(factor * right, received, rtol=RTOL, atol=ATOL):
        factor = _simple(float(factor))
        return Relation(f"{name}: {factor:.4g} times the right one", "Where does the factor arise?")
    if torch.allclose(right + added, received, rtol=RTOL, atol=ATOL):
        side = "large" if added > 0 else "small"
        return Relation(f"{name}: too {side} by {abs(added):.4g} everywhere", "What is added?")
    return None
