"""What a probe sees of an answer, and whether two answers look alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bnkit.book.causes import at_the_call, cause_of, kind_of, signature
from bnkit.book.ready_made import Watch, made_by_others
from bnkit.book.run import Stopped
from bnkit.book.theirs import own_frames, own_line

__all__ = [
    "LOSS",
    "MISSING",
    "Observation",
    "Probe",
    "as_seen",
    "calls",
    "clone",
    "first_difference",
    "first_wrong_step",
    "is_stub",
    "looks_alike",
    "scattered",
]

RTOL, ATOL = 1e-3, 1e-4  # wide for float32, narrow for the mistakes: inputs make those loud

MISSING = "nothing"
LOSS = "for the loss y₁ + 2 y₂ + 4 y₃ + …"

Facets = dict[str, "Tensor | str | None"]


class UnusableError(Exception):
    """What came back cannot be looked at; the message says what it is."""


@dataclass(frozen=True)
class Probe:
    """One small experiment; what is not essential is looked at last, what is slow seldom."""

    inputs: Mapping[str, object]
    run: Callable[[Callable], Facets]
    essential: bool = True
    slow: bool = False


@dataclass
class Observation:
    """What one probe saw, as plain data: named results, or the words on what took their place.

    `error` says where it raised and `cause` why, in words; `returned` is what came back where the
    check could not use it; `ready_made` names what did the work; `stub` means not started.
    """

    facets: Facets
    error: str = ""
    cause: str = ""
    returned: str = ""
    ready_made: tuple[str, ...] = ()
    stub: bool = False

    @property
    def fell(self) -> bool:
        """Whether words stand in place of results."""
        return bool(self.error or self.returned)

    def values(self) -> Observation:
        """The same without gradients."""
        seen = {name: v for name, v in self.facets.items() if not name.startswith("gradient")}
        return replace(self, facets=seen)

    @classmethod
    def of(cls, probe: Probe, answer: Callable, watched: bool = True) -> Observation:
        """Run the probe on an answer, from seed 0; nothing that it raises leaves but `Stopped`."""
        torch.default_generator.manual_seed(0)
        with Watch() if watched else contextlib.nullcontext() as watch:
            try:
                seen = cls(probe.run(answer))
            except Stopped:
                raise
            except BaseException as exception:  # SystemExit too: it is the answer's, not ours
                returned = watch.returned if watched else None
                seen = _told(exception, returned)
        names = (*made_by_others(answer), *watch.names) if watched else ()
        return replace(seen, ready_made=tuple(dict.fromkeys(names)))


def _told(exception: BaseException, returned: object) -> Observation:
    """What is seen of an exception, even of one that cannot be put into words."""
    try:
        return _fallen(exception, returned)
    except Exception:
        name = type(exception).__name__
        return Observation({"raised": name}, error=name)


def _fallen(exception: BaseException, returned: object) -> Observation:
    """What is seen where a probe raises: in the learner's code, at its call, or afterwards."""
    facets = {"raised": signature(exception)}
    if isinstance(exception, UnusableError):
        return Observation({"raised": str(exception)}, returned=str(exception))
    theirs = own_frames(exception) or at_the_call(exception)
    if theirs or returned is None or isinstance(returned.value, nn.Module):
        stub = is_stub(exception)
        return Observation(facets, own_line(exception), cause_of(exception), stub=stub)
    return Observation(facets, returned=kind_of(returned.value))


def is_stub(exception: BaseException) -> bool:
    """Whether the learner's own line says so; PyTorch's kernels and modules raise the same."""
    frames = own_frames(exception, innermost=True)
    if not isinstance(exception, NotImplementedError) or not frames:
        return False
    return (
        "raise" in frames[-1].line if frames[-1].line else "implemented for" not in str(exception)
    )


def first_difference(expected: Observation, received: Observation) -> str | None:
    """The first result that is not seen alike; None in place of a result means unseen."""
    if received.fell and not expected.fell:
        return "raised"
    for name in [*expected.facets, *received.facets]:
        right, other = (facets.get(name, MISSING) for facets in (expected.facets, received.facets))
        if right is not None and other is not None and not looks_alike(right, other):
            return name
    return None


def looks_alike(a: Tensor | str | None, b: Tensor | str | None) -> bool:
    """Whether two results are the same to the eye of a check; None is like nothing."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return isinstance(a, str) and isinstance(b, str) and a == b
    return a.shape == b.shape and torch.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True)


def as_seen(value: object) -> Tensor | str:
    """A result as a float64 tensor, or as text where it is no numbers."""
    try:
        if isinstance(value, Tensor):
            return _plain(value)
        if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
            return torch.stack([as_seen(item) for item in value])
        return torch.as_tensor(value, dtype=torch.float64).clone()
    except (TypeError, ValueError, RuntimeError, NotImplementedError):
        return kind_of(value)


def _plain(value: Tensor) -> Tensor | str:
    """The numbers of a tensor in a plain one, which no subclass can speak for."""
    with torch._C.DisableTorchFunctionSubclass():
        if value.layout != torch.strided or value.is_complex() or value.device.type == "meta":
            return kind_of(value)
        value = value.detach()
        if any(getattr(value, "names", ())):  # of older PyTorch
            value = value.rename(None)
        return torch.empty(value.shape, dtype=torch.float64, device="cpu").copy_(value)


def scattered(*shape: int) -> Tensor:
    """Numbers without a pattern, the same every time, for probes after the small ones."""
    generator = torch.Generator().manual_seed(torch.Size(shape).numel())
    return torch.randn(shape, generator=generator).mul_(2).add_(1)


def clone(value: object) -> object:
    """A copy that the learner may write into."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    return [clone(item) for item in value] if isinstance(value, list) else value


def calls(
    inputs: Mapping[str, object],
    outputs: Sequence[str] = ("output",),
    gradients: Sequence[str] = (),
    essential: bool = True,
) -> Probe:
    """A probe that calls a function with the inputs, in order, and looks at what it returns.

    Args:
        inputs: Its arguments.
        outputs: A name for each value that it returns.
        gradients: Inputs whose gradients are looked at, where the answer carries any: they are
            those of the sum of the first output weighted by 1, 2, 4, ... in its order.
        essential: Whether it is looked at before what is not.

    Returns:
        The probe.

    Example:
        >>> probe = calls({"x": torch.tensor([1.0, 3.0])}, outputs=["mean", "variance"])
        >>> probe.run(lambda x: (x.mean(), x.var(unbiased=False)))["variance"].item()
        1.0
    """

    def run(answer: Callable) -> Facets:
        returned = answer(*(clone(value) for value in inputs.values()))
        facets = _named(returned, outputs)
        if gradients:
            facets |= _gradients(answer, inputs, gradients)
        return facets

    return Probe(inputs, run, essential)


def _named(returned: object, names: Sequence[str]) -> Facets:
    if len(names) == 1:
        return {names[0]: as_seen(returned)}
    several = isinstance(returned, (tuple, list))
    if not several or len(returned) != len(names):
        received = kind_of(returned)
        if several:
            received = f"{len(returned)} values" if len(returned) != 1 else "one value in a tuple"
        raise UnusableError(f"{received} in place of {len(names)} values: {', '.join(names)}")
    return {name: as_seen(value) for name, value in zip(names, returned, strict=True)}


def _gradients(answer: Callable, inputs: Mapping[str, object], names: Sequence[str]) -> Facets:
    unseen = {f"gradient of {name}, {LOSS}": None for name in names}
    leaves = {name: clone(inputs[name]).requires_grad_() for name in names}
    given = {name: leaves[name] * 1 if name in leaves else clone(inputs[name]) for name in inputs}
    try:
        with _Numbers() as numbers:
            returned = answer(*given.values())  # never a leaf: it may be written into
        if numbers.used or isinstance(as_seen(returned), str):
            return unseen  # plain numbers carry no gradient, and the statement lets them be used
        if isinstance(returned, (tuple, list)):
            returned = torch.cat([part.flatten() for part in returned])
        factors = 2.0 ** (torch.arange(returned.numel()) % 7)
        loss = (returned * factors.to(returned).view_as(returned)).sum()
        found = [None] * len(leaves)
        if loss.requires_grad:
            found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    except Exception:  # written in place, for instance: the values alone are judged
        return unseen
    return {
        f"gradient of {name}, {LOSS}": as_seen(torch.zeros_like(leaf) if grad is None else grad)
        for (name, leaf), grad in zip(leaves.items(), found, strict=True)
    }


_NUMBERS = {"item", "tolist", "numpy", "__array__", "__float__", "__int__"}


class _Numbers(TorchFunctionMode):
    """Sees whether floating-point tensors become plain numbers on the way."""

    used = False

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        name = getattr(func, "__name__", "")
        if name in _NUMBERS and args and args[0].is_floating_point():
            self.used = True
        return func(*args, **(kwargs or {}))


def first_wrong_step(normalize: Callable[[float], Tensor], x: Tensor) -> str:
    """The first of mean, variance, x_hat and output that is wrong.

    With weight 1 and bias 0 each column of x (N, C) becomes a line with zero at the mean.
    """
    y = torch.as_tensor(normalize(1e-12)).detach().to(torch.float64)
    x = x.to(torch.float64)
    if y.shape != x.shape:
        return "the shape of the output"
    mean, var = x.mean(0), x.var(0, unbiased=False)
    slope = ((x - mean) * (y - y.mean(0))).sum(0) / (x - mean).square().sum(0)
    straight = torch.allclose(y - y.mean(0), slope * (x - mean), atol=1e-3)
    if not torch.allclose(y.mean(0), torch.zeros_like(mean), atol=1e-3):
        return "mean"
    if not straight:
        return "x_hat"
    if not torch.allclose(slope, var.rsqrt(), rtol=1e-3):
        return "variance"
    wide = torch.as_tensor(normalize(0.5)).detach().to(torch.float64)
    right = (x - mean) * (var + 0.5).rsqrt()
    return "output" if torch.allclose(wide, right, atol=1e-3) else "x_hat"
