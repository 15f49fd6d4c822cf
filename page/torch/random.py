"""Random numbers as PyTorch draws them on a processor: the same seed, the same numbers.

The generator is the Mersenne Twister, which Python's `random` has, too; only the seeding differs.
"""

from __future__ import annotations

import contextlib
import math
import random as python_random
from collections.abc import Iterator, Sequence
from functools import lru_cache

from . import dtypes
from .creation import _shape
from .dtypes import dtype
from .tensor import Tensor, make, write

__all__ = ["METHODS", "NAMES", "Generator", "default_generator", "fork_rng", "manual_seed"]

_START = 67280421310721  # PyTorch's seed where none is set


@lru_cache(maxsize=64)
def _seeded(seed: int) -> tuple[int, ...]:
    """The state of the Mersenne Twister that a seed stands for."""
    state = [seed]
    for i in range(1, 624):
        last = state[-1]
        state.append((1812433253 * (last ^ (last >> 30)) + i) & 0xFFFFFFFF)
    return tuple(state)


class Generator:
    """A source of random numbers."""

    def __init__(self, device: object = "cpu") -> None:
        self._twister = python_random.Random()
        self.manual_seed(_START)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from a seed."""
        self._seed = int(seed)
        self._twister.setstate((3, (*_seeded(self._seed & 0xFFFFFFFF), 624), None))
        self._spare: float | None = None
        return self

    def initial_seed(self) -> int:
        """The seed that it was started from."""
        return self._seed

    def seed(self) -> int:
        """Start from a seed that nobody chose."""
        self.manual_seed(python_random.getrandbits(32))
        return self._seed

    def get_state(self) -> tuple:
        """All that decides what comes next."""
        return self._twister.getstate(), self._spare, self._seed

    def set_state(self, state: tuple) -> None:
        """Go on from there."""
        twister, self._spare, self._seed = state
        self._twister.setstate(twister)

    def bits(self) -> int:
        """32 random bits."""
        return self._twister.getrandbits(32)

    def bits64(self) -> int:
        """64 random bits."""
        return self.bits() << 32 | self.bits()

    def uniform(self, single: bool) -> float:
        """A number from 0 up to 1, with as many digits as the dtype has."""
        if single:
            return (self.bits() & 0xFFFFFF) * 2.0**-24
        return (self.bits64() & (2**53 - 1)) * 2.0**-53

    def normal(self) -> float:
        """A number of the normal distribution, by Box and Muller; the second one waits."""
        if self._spare is not None:
            found, self._spare = self._spare, None
            return found
        angle, radius = self.uniform(False), self.uniform(False)
        length = math.sqrt(-2 * math.log1p(-radius))
        self._spare = length * math.sin(2 * math.pi * angle)
        return length * math.cos(2 * math.pi * angle)


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the shared generator from a seed."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the shared generator from a seed that nobody chose."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the shared generator was started from."""
    return default_generator.initial_seed()


def get_rng_state() -> tuple:
    """All that decides what the shared generator gives next."""
    return default_generator.get_state()


def set_rng_state(state: tuple) -> None:
    """Go on from there."""
    default_generator.set_state(state)


@contextlib.contextmanager
def fork_rng(devices: object = None, enabled: bool = True, **_options: object) -> Iterator[None]:
    """Leave the shared generator as it was."""
    state = default_generator.get_state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(state)


def _normals(count: int, single: bool, generator: Generator | None) -> list[float]:
    """PyTorch fills sixteen at a time from sixteen uniform numbers, and fewer one by one."""
    source = generator or default_generator
    if count < 16:
        return [source.normal() for _ in range(count)]
    values = [source.uniform(single) for _ in range(count)]
    starts = list(range(0, count - 15, 16))
    for start in starts:
        _sixteen(values, start, single)
    if count % 16:
        values[count - 16 :] = [source.uniform(single) for _ in range(16)]
        _sixteen(values, count - 16, single)
    return values


def _sixteen(values: list[float], start: int, single: bool) -> None:
    rounded = (dtypes.float32 if single else dtypes.float64).rounded
    for i in range(start, start + 8):
        first, second = 1 - values[i], values[i + 8]
        radius, angle = rounded([math.sqrt(-2 * math.log(first)), 2 * math.pi * second])
        values[i], values[i + 8] = radius * math.cos(angle), radius * math.sin(angle)


def _drawn(values: list, shape: Sequence[int], kind: dtype, requires_grad: bool = False) -> Tensor:
    made = make(kind.rounded(values), shape, kind)
    return made.requires_grad_() if requires_grad else made


def randn(
    *size: object, generator: Generator | None = None, dtype: dtype | None = None,
    requires_grad: bool = False, **_options: object,
) -> Tensor:  # fmt: skip
    """Numbers of the normal distribution."""
    shape, kind = _shape(size), dtype or dtypes.default.kind
    values = _normals(math.prod(shape), kind is not dtypes.float64, generator)
    return _drawn(values, shape, kind, requires_grad)


def _uniforms(count: int, kind: dtype, generator: Generator | None) -> list[float]:
    source = generator or default_generator
    return [source.uniform(kind is not dtypes.float64) for _ in range(count)]


def rand(
    *size: object, generator: Generator | None = None, dtype: dtype | None = None,
    requires_grad: bool = False, **_options: object,
) -> Tensor:  # fmt: skip
    """Numbers from 0 up to 1, all alike probable."""
    shape, kind = _shape(size), dtype or dtypes.default.kind
    return _drawn(_uniforms(math.prod(shape), kind, generator), shape, kind, requires_grad)


def _whole(low: int, high: int, count: int, generator: Generator | None) -> list[int]:
    source = generator or default_generator
    draw = source.bits64 if high - low >= 2**28 else source.bits
    return [low + draw() % (high - low) for _ in range(count)]


def randint(
    *ends: object, size: Sequence[int] | None = None, generator: Generator | None = None,
    dtype: dtype | None = None, low: int = 0, high: int | None = None, **_options: object,
) -> Tensor:  # fmt: skip
    """Whole numbers from a first up to a last, which is left out."""
    given = list(ends)
    if given and isinstance(given[-1], (tuple, list)):
        size = given.pop()
    if len(given) == 2:
        low, high = given
    elif given:
        high = given[0]
    kind = dtype or dtypes.int64
    return _drawn(_whole(low, high, math.prod(size), generator), size, kind)


def randperm(n: int, *, generator: Generator | None = None, **_options: object) -> Tensor:
    """The numbers from 0 up to n in random order."""
    source, order = generator or default_generator, list(range(n))
    for i in range(n - 1):
        j = i + source.bits() % (n - i)
        order[i], order[j] = order[j], order[i]
    return make(order, (n,), dtypes.int64)


def randn_like(input: Tensor, *, dtype: dtype | None = None, **_options: object) -> Tensor:
    """Numbers of the normal distribution in the shape of another tensor."""
    return randn(input.shape, dtype=dtype or input.dtype)


def rand_like(input: Tensor, *, dtype: dtype | None = None, **_options: object) -> Tensor:
    """Numbers from 0 up to 1 in the shape of another tensor."""
    return rand(input.shape, dtype=dtype or input.dtype)


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each number is, else 0."""
    source = generator or default_generator
    values = [float(source.uniform(False) < p) for p in input.values()]
    return make(input.dtype.rounded(values), input.shape, input.dtype)


def normal(mean: object, std: object = 1.0, size: object = None, **options: object) -> Tensor:
    """Numbers of the normal distribution around a mean."""
    shape = size if size is not None else (mean if isinstance(mean, Tensor) else std).shape
    return randn(shape, **options) * std + mean


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, **options: object
) -> Tensor:
    """Places drawn with the given weights."""
    source, weights = options.get("generator") or default_generator, list(input.values())
    found = []
    for _ in range(num_samples):
        rest = source.uniform(False) * sum(weights)
        place = next((i for i, w in enumerate(weights) if (rest := rest - w) < 0), len(weights) - 1)
        found.append(place)
        weights[place] = weights[place] if replacement else 0.0
    return make(found, (num_samples,), dtypes.int64)


def _fill(self: Tensor, values: list) -> Tensor:
    return write(self, make(self.dtype.rounded(values), self.shape, self.dtype))


def normal_(
    self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers of the normal distribution."""
    values = _normals(self.numel(), self.dtype is not dtypes.float64, generator)
    return _fill(self, [mean + std * value for value in values])


def uniform_(
    self: Tensor, a: float = 0, b: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers between two bounds."""
    values = _uniforms(self.numel(), self.dtype, generator)
    return _fill(self, [a + (b - a) * value for value in values])


def random_(self: Tensor, low: int = 0, high: int | None = None, **options: object) -> Tensor:
    """Fill with whole numbers."""
    low, high = (0, low) if high is None else (low, high)
    return _fill(self, _whole(low, high, self.numel(), options.get("generator")))


def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with a probability, else 0."""
    source = generator or default_generator
    return _fill(self, [float(source.uniform(False) < p) for _ in range(self.numel())])


NAMES = {
    name: globals()[name]
    for name in (
        *("randn", "rand", "randint", "randperm", "randn_like", "rand_like", "bernoulli"),
        *("normal", "multinomial", "manual_seed", "seed", "initial_seed", "get_rng_state"),
        *("set_rng_state", "Generator", "default_generator"),
    )
}
METHODS = {
    "normal_": normal_, "uniform_": uniform_, "random_": random_, "bernoulli_": bernoulli_,
    "multinomial": multinomial, "bernoulli": bernoulli,
}  # fmt: skip
