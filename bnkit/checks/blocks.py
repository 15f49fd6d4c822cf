"""Exercises on networks: a residual block, its closed door, a copy with new statistics."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit.checks.block_mistakes import CLOSE_DOORS, REESTIMATED, SKIP_BLOCK
from bnkit.checks.exercise import Exercise, examine
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.result import CheckResult
from bnkit.book.run import LIMIT
from bnkit.checks.solutions import effects, practice

__all__ = ["EXERCISES", "check_close_doors", "check_reestimated", "check_skip_block"]

_X = torch.tensor([[2.0, -1.0], [0.5, 3.0], [-1.0, -2.0], [4.0, 0.0]])


def _fill(module: nn.Module) -> nn.Module:
    """Parameters of a linear layer and of a batch normalization that tell all parts apart."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.tensor([[1.0, -0.5], [0.25, 2.0]]))
                if layer.bias is not None:
                    layer.bias.zero_()  # so that a layer without one is right, too
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.copy_(torch.tensor([2.0, 0.5]))
                layer.bias.copy_(torch.tensor([0.25, -1.0]))
    return module


def _skips(mode: str) -> Probe:
    def run(cls: Callable) -> Facets:
        block = _fill(cls(2)).train(mode == "training")
        layers = sorted(type(m).__name__ for m in block.modules() if next(m.parameters(False), None)
                        is not None)  # fmt: skip
        return {"layers with parameters": ", ".join(layers), "output": as_seen(block(_X.clone()))}

    return Probe({"h": _X, "mode": mode}, run)


_SKIP_BLOCK = Exercise(
    "skip_block",
    effects.Skip,
    [_skips("training"), _skips("evaluation")],
    SKIP_BLOCK,
    "10_why_it_works.ipynb#Depth: where the layer makes trouble",
)


def check_skip_block(cls: type[nn.Module], *, limit: float = LIMIT) -> CheckResult:
    """Check a residual block that computes h + BN(W relu(h)).

    Args:
        cls: ``cls(width)`` makes a Module for inputs of shape (N, width) with one ``nn.Linear`` and
            one ``nn.BatchNorm1d``, under any names.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> class Branch(nn.Module):
        ...     def __init__(self, width):
        ...         super().__init__()
        ...         self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)
        ...     def forward(self, h):
        ...         return self.norm(self.linear(h.relu()))
        >>> check_skip_block(Branch).mistake
        'skip connection missing'

    Source: chapter 10, exercise 4.
    """
    return examine(_SKIP_BLOCK, cls, limit)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2), nn.BatchNorm1d(2)
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


def _doors(close: Callable) -> Facets:
    """Numbers of every normalization afterwards, and whether the last of a branch still learns."""
    inner = nn.Sequential(_Block())
    net = _fill(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), _Block(), inner)).train()
    found = close(net)
    net = found if isinstance(found, nn.Module) else net
    first, second = net[2].branch, net[3][0].branch
    net(_X.clone()).square().sum().backward()
    last = first[-1].weight
    return {
        "weight of branch[-1]": as_seen(last),
        "weight of branch[-1] in the inner block": as_seen(second[-1].weight),
        "bias of branch[-1]": as_seen(first[-1].bias),
        "weight of branch[1]": as_seen(first[1].weight),
        "weight of the stem's normalization": as_seen(net[1].weight),
        "weight of branch[3]": as_seen(first[3].weight),
        "gradient reaches it": "no" if last.grad is None or not last.grad.any() else "yes",
        "a parameter": "yes" if isinstance(last, nn.Parameter) else "no",
    }


_CLOSE_DOORS = Exercise(
    "close_doors",
    practice.close_doors,
    [Probe({"net": "Linear → BN → block → (block), a branch is Linear, BN, ReLU, Linear, BN"},
           _doors)],
    CLOSE_DOORS,
    "14_architectures.ipynb#A small ResNet with `BatchNorm2d`",
)  # fmt: skip


def check_close_doors(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a function that starts every residual block as its skip path.

    Args:
        fn: ``fn(net)`` sets the weight of ``branch[-1]`` to 0 in every module of the net that has a
            ``branch``, in place, and changes nothing else.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def all_of_them(net):
        ...     for module in net.modules():
        ...         if isinstance(module, nn.BatchNorm1d):
        ...             nn.init.zeros_(module.weight)
        >>> check_close_doors(all_of_them).mistake
        'every normalization closed'

    Source: chapter 14, exercise 3; Goyal et al. (2017), https://arxiv.org/abs/1706.02677.
    """
    return examine(_CLOSE_DOORS, fn, limit)


def _copies(count: int) -> Probe:
    batches = [_X[:3], 2 * _X[1:], _X - 3][:count]

    def run(reestimated: Callable) -> Facets:
        given = _fill(nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Linear(2, 2), _last())))
        for norm in (given[0], given[1][1]):
            norm.running_mean.fill_(7.0)
        before = copy.deepcopy(given.state_dict())
        net = reestimated(given, [x.clone() for x in batches])
        same = all(torch.equal(before[name], value) for name, value in given.state_dict().items())
        return {
            "running_mean": as_seen(net[0].running_mean),
            "running_var": as_seen(net[0].running_var),
            "running_mean of the inner layer": as_seen(net[1][1].running_mean),
            "weight of the linear layer": as_seen(net[1][0].weight),
            "the given network": "as it was" if same else "changed",
        }

    return Probe({f"batch {i}": x for i, x in enumerate(batches, start=1)}, run)


def _last() -> nn.BatchNorm1d:
    return nn.BatchNorm1d(2)


_REESTIMATED = Exercise(
    "reestimated",
    effects.reestimated,
    [_copies(1), _copies(3)],
    REESTIMATED,
    "11_batch_size.ipynb#Freezing batch normalization when fine-tuning",
)


def check_reestimated(fn: Callable, *, limit: float = LIMIT) -> CheckResult:
    """Check a function that returns a copy of a network with new running statistics.

    Args:
        fn: ``fn(net, batches) -> copy``, whose running statistics are the plain average over the
            batches of inputs, in every layer of batch normalization; `net` stays as it is.
        limit: Seconds that it may take.

    Returns:
        What was found.

    Example:
        >>> def in_place(net, batches):
        ...     for layer in net.modules():
        ...         if isinstance(layer, nn.BatchNorm1d):
        ...             layer.reset_running_stats()
        ...             layer.momentum = None
        ...     for x in batches:
        ...         net.train()(x)
        ...     return net
        >>> check_reestimated(in_place).mistake
        'given network changed'

    Source: chapter 11, exercise 3.
    """
    return examine(_REESTIMATED, fn, limit)


EXERCISES = [_SKIP_BLOCK, _CLOSE_DOORS, _REESTIMATED]
