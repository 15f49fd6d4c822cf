"""Gives what was seen of a wrong answer its name: from the catalogue, from slips, or by its form.

A run is what all probes of an exercise saw of one answer. Whatever is compared here is plain data:
the answer itself is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from torch import Tensor

from bnkit.book.observe import Observation, first_difference, looks_alike

__all__ = ["Likeness", "alike", "differ", "kind_differs", "likely_pairs", "no_gradient", "partly"]

NOTHING = "It returned None. Is there a return at the end?"
ANOTHER_KIND = (
    "Print the type and the shape of what you return, and compare with what is asked for."
)

Run = Sequence[Observation]
Key = tuple[int, str]


def differ(some: Run, others: Run) -> bool:
    """Whether any probe tells two runs apart."""
    return any(first_difference(a, b) for a, b in zip(some, others, strict=True))


def alike(runs: Sequence[tuple[object, Run]], seen: Run, looked_at: Sequence[int]) -> list:
    """Whatever looks like what was seen; the probes that need not be looked at decide a tie."""
    view = [seen[i] for i in looked_at]
    fits = [(m, run) for m, run in runs if not differ([run[i] for i in looked_at], view)]
    exact = [(m, run) for m, run in fits if not differ(run, seen)]
    return list({id(m): m for m, _ in exact or fits}.values())


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

    @cached_property
    def keys(self) -> list[Key]:
        return [
            (i, name)
            for i in range(len(self.seen))
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

    @cached_property
    def own(self) -> Likeness:
        return Likeness.of(self.seen, self.expected, self.seen, self.keys)

    @cached_property
    def each(self) -> list[Likeness]:
        return [Likeness.of(run, self.expected, self.seen, self.keys) for _, run in self.runs]


def likely_pairs(
    expected: Run, seen: Run, runs: Sequence[tuple[object, Run]]
) -> list[tuple[int, int]]:
    """Every two runs of two mistakes, those first that together would give what was seen.

    Where one mistake alone shows, both together should look like it; where neither does, right. Of
    what is as likely, the first ways to make a mistake come first.
    """
    told = _Compared(expected, seen, runs)
    own, each, everything = told.own.right, told.each, (1 << len(told.keys)) - 1

    def score(a: Likeness, b: Likeness) -> int:
        neither = a.right & b.right
        one, other = b.right & ~a.right, a.right & ~b.right
        both = everything & ~(a.right | b.right)
        fits = 2 * ((one & a.same).bit_count() + (other & b.same).bit_count())
        odd = (one & ~a.same).bit_count() + (other & ~b.same).bit_count()
        return fits - odd - 3 * (neither & ~own).bit_count() - (both & own).bit_count()

    makers = [id(mistake) for mistake, _ in runs]
    rank = [makers[:i].count(makers[i]) for i in range(len(makers))]
    found = [
        (-score(each[i], each[j]), rank[i] + rank[j], j, i)
        for i in range(len(each))
        for j in range(i)
        if makers[i] != makers[j]
    ]
    return [(j, i) for *_, j, i in sorted(found)]


def partly(expected: Run, seen: Run, runs: Sequence[tuple[object, Run]]) -> object | None:
    """The mistake that explains a whole quantity in all probes, and contradicts nothing.

    One probe alone would not do: there many mistakes give the same. None where several fit.
    """
    told = _Compared(expected, seen, runs)
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
