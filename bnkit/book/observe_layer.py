"""What is looked at in a layer: outputs, gradients, what it keeps; and a small network with one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from bnkit.book.observe import LOSS, Facets, Probe, as_seen, first_wrong_step, scattered

__all__ = ["EXAMPLES", "attribute", "averaging_probes", "first_wrong_step_of_layer"]
__all__ += ["layer_probes", "small_net"]

_X = torch.tensor([[3.0, 0.0, 10001.0], [11.0, 0.002, 10003.0]])
_OTHER = torch.tensor([[1.0, 4.0, 2.0], [2.0, -1.0, 9.0], [6.0, 0.5, 1.0], [0.0, 2.0, 2.0]])
_FAINT = torch.tensor([[0.002, 0.008, 1.0], [0.004, -0.002, 1.0], [0.012, 0.001, 1.0]])
_UNTRACKED = "num_batches_tracked"
_NAMES = {"weight", "bias", "running_mean", "running_var", _UNTRACKED}


EXAMPLES = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, -1.0], [4.0, 0.0], [-2.0, 5.0]])


def small_net() -> nn.Sequential:
    """BatchNorm1d, then Linear, with numbers that make every part matter; in training mode."""
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].running_mean.copy_(torch.tensor([1.0, -1.0]))
        net[0].running_var.copy_(torch.tensor([4.0, 0.5]))
        net[1].weight.copy_(torch.tensor([[0.5, -0.25], [-1.0, 0.75]]))
        net[1].bias.copy_(torch.tensor([0.25, -0.5]))
    return net.train()


def layer_probes(size: tuple[int, ...]) -> list[Probe]:
    """Probes of a layer for inputs of shape (N, C, *size)."""
    pair, other = _spread(_X, size), _spread(_OTHER, size)
    many = _spread(scattered(9, 5), size)
    seen = {"x": pair}
    after = {"x": other, "mode": "training, then evaluation"}
    return [
        Probe(seen | {"mode": "training"}, lambda cls: _training(cls, pair)),
        Probe({"x": other, "mode": "training"}, lambda cls: _gradient(cls, other)),
        Probe(after, lambda cls: _running(cls, other)),
        Probe(after, lambda cls: _evaluation(cls, other), slow=True),
        Probe(after, lambda cls: _kept(cls, other), slow=True),
        Probe(after, lambda cls: _modes(cls, other), slow=True),
        Probe({"x": other / 8, "eps": 0.5, "momentum": 0.3}, lambda cls: _arguments(cls, other)),
        Probe({"x": other}, lambda cls: _count(cls, other), essential=False, slow=True),
        Probe(after, lambda cls: _gradient_in_evaluation(cls, other), essential=False,
            slow=True),
        Probe({"x": many, "mode": "training, then evaluation"}, lambda cls: _many(cls, many),
            essential=False, slow=True),
    ]  # fmt: skip


def averaging_probes() -> list[Probe]:
    """Probes of a layer that averages all its batches alike."""
    shown = {"batches": "x, 2x and 3x", "x": _OTHER}
    return [
        Probe(shown | {"then": "3x again"}, lambda cls: _averages(cls, reload=False)),
        Probe(shown | {"before 3x": "saved and loaded"}, lambda cls: _averages(cls, reload=True)),
        Probe({"x": _FAINT, "mode": "training, then evaluation"}, lambda cls: _many(cls, _FAINT)),
    ]


def _spread(rows: Tensor, size: tuple[int, ...]) -> Tensor:
    """Images whose pixels differ a little, from rows of features; vectors stay as they are."""
    if not size:
        return rows
    pixels = 1 + torch.arange(torch.Size(size).numel()).view(size) % 3
    return rows.view(*rows.shape, *[1] * len(size)) * pixels


def _make(cls: Callable, count: int, **options: float) -> nn.Module:
    """A layer of `count` features with parameters that tell gamma, beta and the features apart."""
    try:
        layer = cls(count, **options)
    except TypeError:
        layer = cls(count)
    values = {"weight": torch.arange(count) + 1.0, "bias": 0.5 - torch.arange(count)}
    with torch.no_grad():
        for name, value in values.items():
            if isinstance(getattr(layer, name, None), Tensor):
                getattr(layer, name).copy_(value)
    return layer.train()


def _statistics(layer: nn.Module) -> Facets:
    return {name: attribute(layer, name) for name in ("running_mean", "running_var")}


def attribute(layer: nn.Module, name: str) -> Tensor | str:
    """A tensor of a layer, or that it has none of that name."""
    value = getattr(layer, name, None)
    return "absent" if value is None else as_seen(value)


def _training(cls: Callable, x: Tensor) -> Facets:
    layer = _make(cls, x.shape[1])
    parameters = [name for name, _ in layer.named_parameters()]
    return {"output": as_seen(layer(x.clone())), "parameters": _listed(parameters)}


def _listed(names: Iterable[str]) -> str:
    """Names in order; those that PyTorch's layer does not have look alike, whatever they are."""
    known = sorted(name for name in names if name in _NAMES)
    return ", ".join(known + ["another name" for name in names if name not in _NAMES]) or "none"


def _gradient(cls: Callable, x: Tensor) -> Facets:
    layer, leaf = _make(cls, x.shape[1]), x.clone().requires_grad_()
    y = layer(leaf * 1)
    factors = 2.0 ** (torch.arange(y.numel()) % 7).view_as(y)
    _backward((y * factors.to(y)).sum())
    facets = {"output": as_seen(y), f"gradient of x, {LOSS}": _gradient_of(leaf)}
    for name in ("weight", "bias"):
        facets[f"gradient of {name}, {LOSS}"] = _gradient_of(getattr(layer, name, None))
    return facets


def _gradient_of(leaf: Tensor | None) -> Tensor | str:
    grad = getattr(leaf, "grad", None)
    return "none" if grad is None else as_seen(grad)


def _trained(cls: Callable, x: Tensor) -> nn.Module:
    layer = _make(cls, x.shape[1])
    for scale in (1.0, 2.0):
        _backward(layer((x * scale).requires_grad_()).sum())
    return layer


def _backward(loss: Tensor) -> None:
    """Where no graph led to the loss there are no gradients, and none is an error."""
    if loss.requires_grad:
        loss.backward()


def _running(cls: Callable, x: Tensor) -> Facets:
    layer = _make(cls, x.shape[1])
    before = {f"{name} at first": value for name, value in _statistics(layer).items()}
    _backward(layer(x.clone().requires_grad_()).sum())
    return before | _statistics(layer)


def _evaluation(cls: Callable, x: Tensor) -> Facets:
    layer = _trained(cls, x).eval()
    before, output = _statistics(layer), as_seen(layer(x - 1))
    after = _statistics(layer)
    moves = {f"{n} in evaluation": _moves(before[n], after[n]) for n in before}
    return {"output in evaluation": output} | moves


def _moves(before: Tensor | str, after: Tensor | str) -> str:
    """Whether a statistic differs, however much."""
    if isinstance(before, str) or isinstance(after, str):
        return "stays" if str(before) == str(after) else "moves"
    alike = before.shape == after.shape and torch.allclose(before, after, equal_nan=True)
    return "stays" if alike else "moves"


def _kept(cls: Callable, x: Tensor) -> Facets:
    layer, fresh = _trained(cls, x), _make(cls, x.shape[1])
    facets = {"state_dict": _listed([key for key in layer.state_dict() if key != _UNTRACKED])}
    try:
        copy.deepcopy(layer)
        facets["deepcopy"] = "works"
    except RuntimeError:
        facets["deepcopy"] = "refused: a buffer is part of a graph"
    try:
        fresh.load_state_dict(layer.state_dict())
    except RuntimeError:
        return facets | {"output after loading": "refused: a buffer has another shape"}
    with torch.no_grad():
        return facets | {"output after loading": as_seen(fresh.eval()(x - 1))}


def _modes(cls: Callable, x: Tensor) -> Facets:
    layer = _trained(cls, x)
    with torch.no_grad():
        facets = {"output in training, without gradients": as_seen(layer(x + 1))}
    facets["output in evaluation, with gradients"] = as_seen(layer.eval()(x - 1))
    with torch.no_grad():
        facets["output in evaluation, without gradients"] = as_seen(layer(x - 1))
    return facets


def _arguments(cls: Callable, x: Tensor) -> Facets:
    layer = _make(cls, x.shape[1], eps=0.5, momentum=0.3)
    seen = {"output": as_seen(layer(x / 8))} | _statistics(layer)
    return seen | {"output in evaluation": as_seen(layer.eval()(x / 4))}


def _gradient_in_evaluation(cls: Callable, x: Tensor) -> Facets:
    leaf = (x - 1).requires_grad_()
    y = _trained(cls, x).eval()(leaf)
    _backward(y.square().sum())
    return {"gradient of x in evaluation, for the loss Σ y²": _gradient_of(leaf)}


def _many(cls: Callable, x: Tensor) -> Facets:
    layer = _make(cls, x.shape[1])
    seen = {"output": as_seen(layer(x.clone()))} | _statistics(layer)
    return seen | {"output in evaluation": as_seen(layer.eval()(x - 1))}


def _count(cls: Callable, x: Tensor) -> Facets:
    layer = _trained(cls, x)
    fresh, used = _make(cls, x.shape[1]).state_dict(), copy.deepcopy(layer.state_dict())
    layer.eval()(x - 1)
    found = {_UNTRACKED: used, f"{_UNTRACKED} at first": fresh}
    found |= {f"{_UNTRACKED} after evaluation": layer.state_dict()}
    return {n: as_seen(s[_UNTRACKED]) if _UNTRACKED in s else "absent" for n, s in found.items()}


def _averages(cls: Callable, reload: bool) -> Facets:
    layer = _make(cls, _OTHER.shape[1])
    for scale in (1.0, 2.0):
        layer(_OTHER * scale)
    if reload:
        state, layer = layer.state_dict(), _make(cls, _OTHER.shape[1])
        layer.load_state_dict(state)
    output = layer(_OTHER * 3)
    return {"output": as_seen(output)} | _statistics(layer)


def first_wrong_step_of_layer(cls: Callable) -> str | None:
    """The step of the training output that is wrong; None where it is right."""
    x = torch.tensor([[1.0, 0.5, -2.0], [2.0, 0.9, 5.0], [6.0, 0.1, 1.0], [4.0, 0.2, 0.0]])

    def normalize(eps: float) -> Tensor:
        layer = cls(3, eps=eps)
        with torch.no_grad():
            layer.weight.fill_(1)
            layer.bias.fill_(0)
        return layer.train()(x.clone())

    step = first_wrong_step(normalize, x)
    return None if step == "output" else step
