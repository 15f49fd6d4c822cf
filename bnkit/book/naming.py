"""Gives what was seen of a wrong answer its name: from the catalogue, from slips, or by its form.

A run is what all probes of an exercise saw of one answer. Whatever is compared here is plain data:
the answer itself is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from operator import itemgetter, mul

from torch import Tensor

from bnkit.book.observe import Observation, first_difference, looks_alike

__all__ = ["Likeness", "alike", "differ", "kind_differs", "likely_pairs", "nearness"]
__all__ += ["no_gradient", "partly"]

NOTHING = "It returned None. Is there a return at the end?"
ANOTHER_KIND = (
    "Print the type and the shape of what you return, and compare with what is asked for."
)

Run = Sequence[Observation]
Key = tuple[int, str]

FEW, TINY = 24, 1e-12
SHORTLIST = 40  # versions of mistakes that are looked at in slow probes, too


def differ(some: Run, others: Run) -> bool:
    """Whether any probe tells two runs apart."""
    return any(first_difference(a, b) for a, b in zip(some, others, strict=True))


def alike(
    runs: Sequence[tuple[object, Run]], seen: Run, looked_at: Sequence[int], gradients: bool = True
) -> list:
    """Whatever looks like what was seen; the probes that need not be looked at decide a tie.

    A run is looked at up to the first probe that tells it apart.
    """

    def fits(run: Run, at: Iterable[int]) -> bool:
        pairs = ((run[i], seen[i]) for i in at)
        pairs = pairs if gradients else ((a.values(), b.values()) for a, b in pairs)
        return not any(first_difference(a, b) for a, b in pairs)

    found = [(m, run) for m, run in runs if fits(run, looked_at)]
    exact = [(m, run) for m, run in found if fits(run, range(len(seen)))]
    return list({id(m): m for m, _ in exact or found}.values())


@dataclass(frozen=True)
class Likeness:
    """In which results a run is right, and in which it looks like what was seen, bit by bit."""

    right: int
    same: int

    @classmethod
    def of(cls, run: Run, expected: Run, seen: Run, keys: Sequence[Key]) -> Likeness:
        """The bits of a run, one for each of the keys."""
        right = same = 0
        for bit, (i, name) in enumerate(keys):
            value = run[i].facets.get(name)
            right |= looks_alike(value, expected[i].facets.get(name)) << bit
            same |= looks_alike(value, seen[i].facets.get(name)) << bit
        return cls(right, same)


@dataclass(frozen=True)
class _Compared:
    """What was seen, and each version of each mistake, as the bits of their results."""

    expected: Run
    seen: Run
    runs: Sequence[tuple[object, Run]]
    at: Sequence[int]  # the probes that are looked at

    @cached_property
    def keys(self) -> list[Key]:
        return [
            (i, name)
            for i in self.at
            if not self.seen[i].fell  # what raised says nothing of its values
            for name in dict.fromkeys([*self.expected[i].facets, *self.seen[i].facets])
            if None not in (self.expected[i].facets.get(name, 0), self.seen[i].facets.get(name, 0))
        ]

    @cached_property
    def masks(self) -> list[int]:
        """The bits of each quantity that shows in two probes at least."""
        masks: dict[str, list[int]] = {}
        for bit, (_, name) in enumerate(self.keys):
            masks.setdefault(name, []).append(1 << bit)
        return [sum(bits) for bits in masks.values() if len(bits) > 1]

    @property
    def whole(self) -> int:
        return (1 << len(self.keys)) - 1

    @cached_property
    def own(self) -> Likeness:
        return Likeness.of(self.seen, self.expected, self.seen, self.keys)

    @cached_property
    def close(self) -> list[float]:
        """How close each run is to what was seen, summed over the results."""
        given = [_numbers(self.seen[i].facets.get(name)) for i, name in self.keys]
        return [
            sum(
                _closeness(_numbers(run[i].facets.get(name)), numbers)
                for (i, name), numbers in zip(self.keys, given, strict=True)
            )
            for _, run in self.runs
        ]

    @cached_property
    def each(self) -> list[Likeness]:
        return [Likeness.of(run, self.expected, self.seen, self.keys) for _, run in self.runs]


def likely_pairs(
    expected: Run, seen: Run, runs: Sequence[tuple[object, Run]], quick: Sequence[int] = ()
) -> list[tuple[int, int]]:
    """Every two runs of two mistakes, those first that together would give what was seen.

    Where one mistake alone shows, both together should look like it; where neither does, right; and
    one of the two should be close to what was seen, or on a line with it. Of what is as likely, the
    first ways to make a mistake come first. The quick probes decide whose other probes are worth
    looking at.
    """
    if not quick:
        return _ranked(_Compared(expected, seen, runs, range(len(seen))))
    left = _uncontradicted(expected, seen, runs, quick)
    rough = _Compared(expected, seen, [runs[i] for i in left], quick)
    hidden = [i for i, seems in enumerate(rough.each) if not ~seems.right & rough.whole]
    likely = dict.fromkeys([*hidden, *chain.from_iterable(_ranked(rough))])
    chosen = sorted(left[i] for i in islice(likely, len(hidden) + SHORTLIST))
    told = _Compared(expected, seen, [runs[i] for i in chosen], range(len(seen)))
    return [(chosen[i], chosen[j]) for i, j in _ranked(told)]


def _numbers(value: object) -> list[float]:
    """The first numbers of a result; none where it is a text."""
    return value.flatten()[:FEW].tolist() if isinstance(value, Tensor) else []


def _closeness(a: list[float], b: list[float]) -> float:
    """1 for the same numbers, one half for others on a line with them, 0 for too few."""
    pairs = [(x, y) for x, y in zip(a, b, strict=False) if math.isfinite(x) and math.isfinite(y)]
    if len(a) != len(b) or len(pairs) < 3:
        return 0.0
    a, b = zip(*pairs, strict=True)
    apart = math.dist(a, b) / (math.hypot(*a) + math.hypot(*b) + TINY)
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    a, b = [x - mean_a for x in a], [y - mean_b for y in b]
    line = sum(map(mul, a, b)) / (math.hypot(*a) * math.hypot(*b) + TINY)
    return (1 - apart + line**4) / 2


def _uncontradicted(
    expected: Run, seen: Run, runs: Sequence[tuple[object, Run]], at: Iterable[int]
) -> list[int]:
    """Which runs do not show where all is right; probe by probe, so that few are looked at."""
    left = list(range(len(runs)))
    for i in at:
        told = _Compared(expected, seen, [runs[j] for j in left], [i])
        pairs = zip(left, told.each, strict=True)
        left = [j for j, seems in pairs if not told.own.right & ~seems.right]
    return left


def _ranked(told: _Compared) -> list[tuple[int, int]]:
    runs = told.runs
    own, each, everything = told.own.right, told.each, told.whole

    def score(a: Likeness, b: Likeness) -> int:
        neither = a.right & b.right
        one, other = b.right & ~a.right, a.right & ~b.right
        both = everything & ~(a.right | b.right)
        fits = 2 * ((one & a.same).bit_count() + (other & b.same).bit_count())
        odd = (one & ~a.same).bit_count() + (other & ~b.same).bit_count()
        return fits - odd - 3 * (neither & ~own).bit_count() - (both & own).bit_count()

    def fits(i: int, j: int) -> float:
        nearer, other = max(close[i], close[j]), min(close[i], close[j])
        return score(each[i], each[j]) + 2 * nearer + other

    close = told.close
    makers = [id(mistake) for mistake, _ in runs]
    rank = [makers[:i].count(makers[i]) for i in range(len(makers))]
    found = [
        (-fits(i, j), rank[i] + rank[j], j, i)
        for i in range(len(each))
        for j in range(i)
        if makers[i] != makers[j]
    ]
    return [(j, i) for *_, j, i in sorted(found)]


def nearness(expected: Run, seen: Run, run: Run) -> float:
    """How near a run is to what was seen: 2 for each result that is alike, less for each other."""
    told = _Compared(expected, seen, [(None, run)], range(len(seen)))
    return 2 * told.each[0].same.bit_count() + told.close[0]


def partly(
    expected: Run, seen: Run, runs: Sequence[tuple[object, Run]], quick: Sequence[int] = ()
) -> object | None:
    """The mistake that explains a whole quantity in all probes, and contradicts nothing.

    One probe alone would not do: there many mistakes give the same. None where several fit.
    """
    runs = [runs[i] for i in _uncontradicted(expected, seen, runs, quick)]
    told = _Compared(expected, seen, runs, range(len(seen)))
    own, masks = told.own.right, told.masks
    found: dict[int, tuple[int, object]] = {}
    for likeness, (mistake, _) in zip(told.each, runs, strict=True):
        if own & ~likeness.right:
            continue  # it would show where all is right
        count = sum(
            not mask & ~likeness.same and bool(mask & ~own & ~likeness.right) for mask in masks
        )
        if count:
            best = max(found.get(id(mistake), (0, mistake)), (count, mistake), key=itemgetter(0))
            found[id(mistake)] = best
    ranked = sorted(found.values(), key=itemgetter(0), reverse=True)
    single = len(ranked) == 1 or (ranked and ranked[0][0] > ranked[1][0])
    return ranked[0][1] if single else None


# What is wrong with the kind of a result, whatever its numbers


def kind_differs(expected: Run, seen: Run) -> tuple[str, str] | None:
    """The name and the hint of a result of another kind, such as a list for a tensor."""
    for right, other in zip(expected, seen, strict=True):
        if "in place of" in other.returned:
            return other.returned, "Return the values in this order, separated by commas."
        if other.returned == "None":
            return "nothing is returned", NOTHING
        if other.returned:
            return f"a result of the wrong kind: {other.returned}", ANOTHER_KIND
        for name, value in right.facets.items():
            got = other.facets.get(name)
            if got == "None" != value:
                return "nothing is returned", NOTHING
            if isinstance(value, Tensor) and isinstance(got, str):
                return f"{name}: {got} in place of {_kind(value)}", ANOTHER_KIND
    return None


def no_gradient(expected: Run, seen: Run) -> bool:
    """Whether all values are right, and no gradient at all comes back where one should."""
    pairs = [
        (value, other.facets.get(name))
        for right, other in zip(expected, seen, strict=True)
        for name, value in right.facets.items()
        if name.startswith("gradient")
    ]
    pairs = [(r, s) for r, s in pairs if isinstance(r, Tensor) and isinstance(s, Tensor)]
    plain = [[each.values() for each in run] for run in (expected, seen)]
    return bool(pairs) and not differ(*plain) and not any(s.any() for r, s in pairs if r.any())


def _kind(value: Tensor) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if value.dim() else "a number"
