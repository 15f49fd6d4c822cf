"""What a probe sees of an answer, and whether two answers look alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
    "scattered",
]

RTOL, ATOL = 1e-3, 1e-4  # wide for float32, narrow for the mistakes: inputs make those loud

MISSING = "nothing"
LOSS = "for the loss y₁ + 2 y₂ + 4 y₃ + …"

Facets = dict[str, "Tensor | str | None"]


@dataclass(frozen=True)
class Probe:
    """One small experiment with an answer; what is not essential is looked at last."""

    inputs: Mapping[str, object]
    run: Callable[[Callable], Facets]
    essential: bool = True


@dataclass
class Observation:
    """What one probe saw: named results, or the exception that took their place."""

    facets: Facets
    exception: Exception | None = None

    def values(self) -> Observation:
        """The same without gradients."""
        seen = {name: v for name, v in self.facets.items() if not name.startswith("gradient")}
        return Observation(seen, self.exception)

    @classmethod
    def of(cls, probe: Probe, answer: Callable) -> Observation:
        """Run the probe on an answer; a stub's NotImplementedError passes through."""
        try:
            return cls(probe.run(answer))
        except Exception as exception:
            if is_stub(exception):
                raise
            return cls({"raised": type(exception).__name__}, exception)


def is_stub(exception: BaseException) -> bool:
    """Whether an exercise is not started; PyTorch's kernels raise the same class."""
    return isinstance(exception, NotImplementedError) and "implemented for" not in str(exception)


def first_difference(expected: Observation, received: Observation) -> str | None:
    """The first result that is not seen alike; None in place of a result means unseen."""
    if received.exception and not expected.exception:
        return "raised"
    for name in [*expected.facets, *received.facets]:
        right, other = (facets.get(name, MISSING) for facets in (expected.facets, received.facets))
        if right is not None and other is not None and not _alike(right, other):
            return name
    return None


def _alike(a: Tensor | str, b: Tensor | str) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    return a.shape == b.shape and torch.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True)


def as_seen(value: object) -> Tensor | str:
    """A result as a float64 tensor, or as text where it is no numbers."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", torch.float64).clone()
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
        return torch.stack([as_seen(item) for item in value])
    try:
        return torch.as_tensor(value, dtype=torch.float64).clone()
    except (TypeError, ValueError, RuntimeError):
        return "None" if value is None else f"a {type(value).__name__}"


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
    if not isinstance(returned, (tuple, list)) or len(returned) != len(names):
        count = len(returned) if isinstance(returned, (tuple, list)) else 1
        received = "None" if returned is None else f"{count} returned"
        return {names[0]: received} | dict.fromkeys(names[1:])
    return {name: as_seen(value) for name, value in zip(names, returned, strict=True)}


def _gradients(answer: Callable, inputs: Mapping[str, object], names: Sequence[str]) -> Facets:
    unseen = {f"gradient of {name}, {LOSS}": None for name in names}
    leaves = {name: clone(inputs[name]).requires_grad_() for name in names}
    given = {name: leaves[name] * 1 if name in leaves else clone(inputs[name]) for name in inputs}
    try:
        returned = answer(*given.values())  # never a leaf: it may be written into
        if isinstance(returned, (tuple, list)):
            returned = torch.cat([part.flatten() for part in returned])
        factors = 2.0 ** (torch.arange(returned.numel()) % 7)
        loss = (returned * factors.to(returned).view_as(returned)).sum()
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    except Exception:  # plain numbers, or written in place: the values alone are judged
        return unseen
    return {
        f"gradient of {name}, {LOSS}": as_seen(torch.zeros_like(leaf) if grad is None else grad)
        for (name, leaf), grad in zip(leaves.items(), found, strict=True)
    }


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
