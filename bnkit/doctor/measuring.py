"""A few forward and backward passes, watched by hooks on the normalization layers.

A layer in training mode computes the statistics of its batch anyway. With a momentum of 1 its
running statistics are those of the last batch, so that reading them costs nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnkit.doctor.batches import Batches
from bnkit.doctor.graph import Graph
from bnkit.doctor.kinds import Layer, has_statistics
from bnkit.doctor.observed import Observer
from bnkit.training.place import device_of

__all__ = ["Measured", "Record", "measure", "mend_modes"]

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Record:
    """What was seen at one layer."""

    calls: int = 0
    again: int = 0  # calls during a backward pass: a checkpoint that computes anew
    values: list[int] = field(default_factory=list)  # that share a statistic, for each call
    examples: list[int] = field(default_factory=list)
    own_statistics: bool = False  # were the batch's used?
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)  # unbiased
    padding: list[float] = field(default_factory=list)  # share of padded positions
    grad_in: list[Tensor] = field(default_factory=list)  # squared norms
    grad_out: list[Tensor] = field(default_factory=list)

    @property
    def mean(self) -> Tensor | None:
        """Mean of each channel, over the batches."""
        return torch.stack(self.means).mean(0) if self.means else None

    @property
    def var(self) -> Tensor | None:
        """Unbiased variance of each channel, as the running one averages it."""
        return torch.stack(self.variances).mean(0) if self.variances else None

    @property
    def gain(self) -> float | None:
        """How much larger the gradient is before the layer than behind it."""
        if not self.grad_in or not self.grad_out:
            return None
        ratio = float(sum(self.grad_in)) / max(float(sum(self.grad_out)), 1e-60)
        return math.sqrt(ratio) if ratio >= 0 else math.nan


@dataclass
class Measured:
    """What the passes showed."""

    records: dict[str, Record]
    passes: int = 0
    classes: int | None = None  # columns of the output
    losses: list[float] = field(default_factory=list)
    loss_known: bool = False
    grads: dict[str, Tensor] = field(default_factory=dict)  # a parameter's, summed over passes
    graph: Graph | None = None  # where it was observed
    seconds: float = 0.0

    def mean_grad(self, name: str) -> Tensor | None:
        """The mean gradient of a parameter over the passes, if it was kept."""
        total = self.grads.get(name)
        return None if total is None else total / self.passes


def mend_modes(model: nn.Module) -> None:
    """Train the layers of a model that evaluates: only so are statistics those of its own input.

    Only leaves: a whole model may ask for targets in training mode, as detectors do.
    """
    if not model.training:
        for module in model.modules():
            module.training = not any(True for _ in module.children())


def measure(
    model: nn.Module,
    layers: list[Layer],
    batches: Batches,
    loss_fn: Loss | None,
    kept: frozenset[str],
    observer: Observer | None = None,
) -> Measured:
    """Pass a few batches forward and backward through a model that `untouched` lends.

    The gradients of the parameters named in ``kept`` are kept. With an observer the first pass
    also yields the graph of the model.
    """
    found = Measured({layer.name: Record() for layer in layers})
    watch, start = _Watch(layers, found.records), time.perf_counter()
    parameters = dict(model.named_parameters())
    with torch.enable_grad():
        for x, y in batches.batches:
            if len(x) < 2 and watch.uses_batches:
                continue  # which training refuses, or takes for an example alone
            with observer if observer and not found.passes else nullcontext():
                output = model(x.to(device_of(model)))
            if observer and not found.passes:
                found.graph = observer.graph(output)
            logits = _first_tensor(output)
            found.classes = logits.shape[1] if logits.dim() >= 2 else None
            loss, found.loss_known = _loss(logits, y, loss_fn)
            found.losses.append(float(loss.detach()))
            if loss.requires_grad:
                with watch.backward():
                    loss.backward()
            for name in kept:
                if (grad := parameters[name].grad) is not None:
                    found.grads[name] = found.grads.get(name, 0) + grad
            for parameter in parameters.values():
                parameter.grad = None
            found.passes += 1
    found.seconds = time.perf_counter() - start
    return found


def _loss(output: Tensor, y: Tensor | None, loss_fn: Loss | None) -> tuple[Tensor, bool]:
    """The loss of a batch, and whether it is the loss of the training."""
    y = None if y is None else y.to(output.device)
    if y is not None and loss_fn is not None:
        return loss_fn(output, y), True
    if y is not None and _are_classes(output, y):
        return F.cross_entropy(output, y.long()), True
    return output.float().square().mean(), False  # any loss makes the backward pass


def _are_classes(output: Tensor, y: Tensor) -> bool:
    if output.dim() < 2 or output.shape[1] < 2 or y.is_floating_point():
        return False
    in_range = bool((y >= 0).all() and (y < output.shape[1]).all())
    return y.shape == output[:, 0].shape and in_range


def _first_tensor(output: object) -> Tensor:
    """The first tensor of what a model returns: logits come first."""
    while not isinstance(output, Tensor):
        parts = list(output.values()) if isinstance(output, Mapping) else output
        if not isinstance(parts, tuple | list) or not parts:
            raise ValueError(f"expected a model that returns tensors, got {type(output).__name__}")
        output = parts[0]
    return output


class _Watch:
    """The hooks of one examination."""

    def __init__(self, layers: list[Layer], records: dict[str, Record]) -> None:
        self.in_backward = False
        self.uses_batches = any(layer.is_batch and layer.module.training for layer in layers)
        for layer in layers:
            self._attach(layer, records[layer.name])

    def _attach(self, layer: Layer, record: Record) -> None:
        module = layer.module
        own = has_statistics(module) and layer.kind in ("batch", "instance") and module.training
        if own and layer.is_batch and layer.made:
            module.running_mean.zero_()  # times 0 a broken statistic would still be broken
            module.running_var.fill_(1)
        if own and layer.is_batch:
            module.momentum = 1.0
        record.own_statistics = module.training or not has_statistics(module)

        def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            record.again += self.in_backward
            record.calls += not self.in_backward

        def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if not self.in_backward and inputs and isinstance(output, Tensor):
                _look(layer, record, inputs[0], output, own)

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)

    def backward(self) -> _Backward:
        return _Backward(self)


class _Backward:
    """While the block runs, calls count as a checkpoint's."""

    def __init__(self, watch: _Watch) -> None:
        self.watch = watch

    def __enter__(self) -> None:
        self.watch.in_backward = True

    def __exit__(self, *error: object) -> None:
        self.watch.in_backward = False


def _look(layer: Layer, record: Record, x: Tensor, y: Tensor, own: bool) -> None:
    """Keep what one call shows."""
    record.values.append(_shared_values(layer, x))
    record.examples.append(len(x))
    if layer.is_batch:
        _keep_statistics(layer.module, record, x, own)
        if x.dim() == 3 and not record.padding:
            record.padding.append(padded_share(x.detach()))
    if x.requires_grad:
        x.register_hook(lambda grad: record.grad_in.append(grad.square().sum()))
    if y.requires_grad:
        y.register_hook(lambda grad: record.grad_out.append(grad.square().sum()))


def _keep_statistics(module: nn.Module, record: Record, x: Tensor, own: bool) -> None:
    if own:
        mean, var = module.running_mean.clone(), module.running_var.clone()
    else:
        axes = [0, *range(2, x.dim())]
        var, mean = torch.var_mean(x.detach().float(), dim=axes, correction=1)
    record.means.append(mean.to("cpu", torch.float64))
    record.variances.append(var.to("cpu", torch.float64))


def _shared_values(layer: Layer, x: Tensor) -> int:
    """How many values share one mean."""
    module = layer.module
    if layer.kind in ("batch", "home-made"):
        return x.numel() // x.shape[1]
    if layer.kind == "instance":
        return x[0, 0].numel() if x.dim() > 2 else 1
    if layer.kind == "group":
        return x[0].numel() // module.num_groups
    return math.prod(module.normalized_shape)


def padded_share(x: Tensor) -> float:
    """Share of positions in (N, C, L) at the sequences' ends that repeat one and the same vector.

    Ends of one length in all sequences are no padding, but the data.
    """
    last = x[:, :, -1:]  # (N, C, 1)
    close = (x - last).abs() <= 1e-6 * (1 + last.abs())
    same = close.all(1).flip(1)  # (N, L), from the end
    lengths = same.cumprod(1).sum(1)  # (N,)
    long = lengths > 1
    if long.sum() < 2 or lengths.min() == lengths.max():
        return 0.0
    ends = last[long, :, 0]  # (padded, C)
    if not torch.allclose(ends, ends[:1].expand_as(ends), rtol=1e-4, atol=1e-6):
        return 0.0
    return float(lengths[long].sum()) / same.numel()
