"""For each of the doctor's checks a model into which exactly its fault was put, in three sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.checkpoint import checkpoint

from bench.doctor_nets import (
    CLASSES,
    SIZES,
    Block,
    Loader,
    Sequences,
    data,
    make,
    norms,
    place,
    sentences,
    train,
)
from bnkit.doctor import Report, examine


@dataclass
class Visit:
    """What is brought to an examination."""

    model: nn.Module
    loader: Loader | None = None
    optimizer: torch.optim.Optimizer | None = None
    loss_fn: Callable[[Tensor, Tensor], Tensor] | None = None
    processes: int = 1

    def report(self) -> Report:
        with pretended(self.processes) as within:
            model = DistributedDataParallel(self.model) if within else self.model
            return examine(model, self.loader, self.optimizer, self.loss_fn)


@dataclass(frozen=True)
class Case:
    """A fault: how a healthy model comes to it, and how the healthy twin is brought."""

    name: str
    inject: Callable[[Visit], None]
    twin: Callable[[str], Visit] = field(default=lambda size: training(size))

    def visits(self, size: str) -> tuple[Visit, Visit]:
        """The healthy twin, and the model with the fault."""
        ill = self.twin(size)
        self.inject(ill)
        return self.twin(size), ill


CASES: list[Case] = []


def training(size: str) -> Visit:
    """A model that trains, with its optimizer."""
    model = train(make(size), data()).train()
    return Visit(model, data(), torch.optim.SGD(model.parameters(), 0.05))


def evaluation(size: str) -> Visit:
    """A trained model that evaluates."""
    return Visit(train(make(size), data()).eval(), data())


def stored(size: str) -> Visit:
    """A trained model alone, as from a file."""
    return Visit(train(make(size), data()).eval())


def at_hand(size: str) -> Visit:
    """A model that trains, without data."""
    return Visit(train(make(size), data()).train())


def reading(size: str) -> Visit:
    """A model of sequences that are all of one length."""
    width, depth = {"mlp": (8, 1), "cnn": (16, 2), "residual": (32, 4)}[size]
    torch.manual_seed(0)
    model = train(Sequences(width, depth), sentences(padded=False)).train()
    return Visit(model, sentences(padded=False), torch.optim.SGD(model.parameters(), 0.05))


def together(size: str) -> Visit:
    """One of four processes, with enough examples."""
    visit = training(size)
    visit.processes = 4
    return visit


@contextmanager
def pretended(processes: int) -> Iterator[bool]:
    """A process group of which this process is rank 0, and in which nobody else is asked."""
    if processes == 1:
        yield False
        return
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=0, world_size=processes, store=FakeStore())
    try:
        yield True
    finally:
        dist.destroy_process_group()


def case(name: str, twin: Callable[[str], Visit] = training) -> Callable:
    def enter(inject: Callable[[Visit], None]) -> Callable[[Visit], None]:
        CASES.append(Case(name, inject, twin))
        return inject

    return enter


def second(visit: Visit) -> tuple[str, nn.Module]:
    """A layer in the middle, to be spoiled."""
    return list(norms(visit.model).items())[1]


def source_of(visit: Visit, name: str) -> nn.Module:
    """The linear or convolutional layer before a layer."""
    modules = list(visit.model.named_modules())
    before = modules[: [n for n, _ in modules].index(name)]
    return [m for _, m in before if isinstance(m, nn.Linear | nn.Conv2d)][-1]


def replace(visit: Visit, name: str, module: nn.Module) -> None:
    parent, child = place(visit.model, name)
    setattr(parent, child, module)


@case("untrained-statistics", evaluation)
def _(visit: Visit) -> None:
    _, layer = second(visit)
    layer.reset_running_stats()
    layer.bias.data.zero_()


@case("checkpoint-without-statistics", evaluation)
def _(visit: Visit) -> None:
    fresh = copy.deepcopy(visit.model)
    for layer in norms(fresh).values():
        layer.reset_parameters()
    weights = visit.model.state_dict()
    lost = {name: value for name, value in weights.items() if "running" not in name}
    fresh.load_state_dict({n: v for n, v in lost.items() if "num_" not in n}, strict=False)
    visit.model = fresh


@case("nothing-counted", evaluation)
def _(visit: Visit) -> None:
    for layer in norms(visit.model).values():
        layer.num_batches_tracked.zero_()


@case("variance-not-finite", evaluation)
def _(visit: Visit) -> None:
    second(visit)[1].running_var[0] = torch.nan


@case("variance-below-eps", evaluation)
def _(visit: Visit) -> None:
    second(visit)[1].running_var[0] = 0


@case("averaged-copy", evaluation)
def _(visit: Visit) -> None:
    other = copy.deepcopy(visit.model)
    torch.manual_seed(7)
    for module in other.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.reset_parameters()
    average = AveragedModel(visit.model)
    for model in (visit.model, train(other, data())):
        average.update_parameters(model)
    visit.model = average.eval()


@case("statistics-disagree", evaluation)
def _(visit: Visit) -> None:
    layer = second(visit)[1]
    layer.running_mean += 1.5 * layer.running_var.sqrt()


@case("dead-channels")
def _(visit: Visit) -> None:
    weight = second(visit)[1].weight.data
    weight[: 3 * len(weight) // 4] = 1e-6


@case("constant-channels")
def _(visit: Visit) -> None:
    weight = source_of(visit, second(visit)[0]).weight.data
    weight[: 3 * len(weight) // 4] = 0


@case("half-precision", at_hand)
def _(visit: Visit) -> None:
    second(visit)[1].half()


class HomeMade(nn.Module):
    """Running statistics as plain tensors, moved as in `update`."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.eps, self.momentum = 1e-5, 0.1
        self.running_mean, self.running_var = torch.zeros(num_features), torch.ones(num_features)

    def forward(self, x: Tensor) -> Tensor:
        axes = [0, *range(2, x.dim())]
        if self.training:
            self.update(x.mean(axes), x.var(axes))
        return F.batch_norm(x, self.running_mean.detach(), self.running_var.detach(), training=True)

    def update(self, mean: Tensor, var: Tensor) -> None:
        with torch.no_grad():
            self.running_mean = torch.lerp(self.running_mean, mean, self.momentum)
            self.running_var = torch.lerp(self.running_var, var, self.momentum)


class OnTheGraph(HomeMade):
    """Its statistics are buffers, and drag the graph of every step along."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        mean, var = self.running_mean, self.running_var
        del self.running_mean, self.running_var
        self.register_buffer("running_mean", mean)
        self.register_buffer("running_var", var)

    def update(self, mean: Tensor, var: Tensor) -> None:
        self.running_mean = torch.lerp(self.running_mean, mean, self.momentum)
        self.running_var = torch.lerp(self.running_var, var, self.momentum)


@case("statistics-not-saved")
def _(visit: Visit) -> None:
    name, layer = second(visit)
    replace(visit, name, HomeMade(layer.num_features))


@case("statistics-in-the-graph")
def _(visit: Visit) -> None:
    name, layer = second(visit)
    replace(visit, name, OnTheGraph(layer.num_features))
    visit.model(visit.loader[0][0])


@case("awake-in-evaluation", evaluation)
def _(visit: Visit) -> None:
    second(visit)[1].train()


@case("evaluation-in-training")
def _(visit: Visit) -> None:
    visit.model.eval()


@case("frozen-will-wake")
def _(visit: Visit) -> None:
    second(visit)[1].eval()


@case("batch-of-one-without-statistics", evaluation)
def _(visit: Visit) -> None:
    name, layer = second(visit)
    replace(visit, name, type(layer)(layer.num_features, track_running_stats=False).eval())
    visit.loader = data(batch=1)


@case("exported-in-training", stored)
def _(visit: Visit) -> None:
    visit.model = torch.jit.trace(visit.model.train(), data()[0][0], check_trace=False)


@case("bias-before-norm")
def _(visit: Visit) -> None:
    layer = source_of(visit, second(visit)[0])
    layer.bias = nn.Parameter(torch.zeros(layer.weight.shape[0]))


@case("norm-before-softmax")
def _(visit: Visit) -> None:
    visit.model.append(nn.BatchNorm1d(CLASSES))
    visit.loss_fn = nn.CrossEntropyLoss()


@case("dropout-before-norm")
def _(visit: Visit) -> None:
    name, layer = second(visit)
    replace(visit, name, nn.Sequential(nn.Dropout(0.5), layer))
    update_bn([x for x, _ in visit.loader], visit.model)


@case("shared-norm")
def _(visit: Visit) -> None:
    names = list(norms(visit.model))
    replace(visit, names[2], norms(visit.model)[names[1]])
    update_bn([x for x, _ in visit.loader], visit.model)


class Checkpointed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.inner, x, use_reentrant=False)


@case("norm-in-checkpoint")
def _(visit: Visit) -> None:
    name, layer = second(visit)
    replace(visit, name, Checkpointed(layer))


@case("padding-in-statistics", reading)
def _(visit: Visit) -> None:
    visit.loader = sentences(padded=True)
    update_bn([x for x, _ in visit.loader], visit.model)


@case("foldable")
def _(visit: Visit) -> None:
    visit.model.eval()
    visit.optimizer = None


@case("few-values")
def _(visit: Visit) -> None:
    visit.loader = data(batch=3, side=2 if isinstance(visit.model[3], Block) else 8)


@case("last-batch-of-one")
def _(visit: Visit) -> None:
    visit.loader = [*data(), (data()[0][0][:1], data()[0][1][:1])]


@case("sorted-batches")
def _(visit: Visit) -> None:
    images, labels = (torch.cat(parts) for parts in zip(*visit.loader, strict=True))
    order = labels.argsort()
    visit.loader = list(zip(images[order].split(32), labels[order].split(32), strict=True))


@case("decay-on-norm")
def _(visit: Visit) -> None:
    visit.optimizer = torch.optim.AdamW(visit.model.parameters(), 1e-3)


@case("effective-rate")
def _(visit: Visit) -> None:
    visit.optimizer = torch.optim.SGD(visit.model.parameters(), 1e5)


@case("keras-momentum")
def _(visit: Visit) -> None:
    for layer in norms(visit.model).values():
        layer.momentum = 0.99
    visit.model(visit.loader[0][0])


@case("statistics-lag", evaluation)
def _(visit: Visit) -> None:
    for layer in norms(visit.model).values():
        layer.momentum = 0.001
        layer.reset_running_stats()
    for step in range(60):
        visit.model.train()(visit.loader[step % 4][0] * 3)
    visit.model.eval()
    visit.loader = [(x * 3, y) for x, y in visit.loader]


@case("unsynchronized", together)
def _(visit: Visit) -> None:
    visit.loader = data(batch=8)


@case("gradient-not-finite")
def _(visit: Visit) -> None:
    visit.loss_fn = lambda output, y: F.cross_entropy(output, y) + (output.sum() * 0).log()


@case("gradient-jump")
def _(visit: Visit) -> None:
    name, layer = second(visit)
    spread = float(layer.running_var.mean().sqrt())
    source_of(visit, name).weight.data.mul_(4.5e-3 / spread)


def twins() -> Iterator[tuple[str, str, Case]]:
    """Every case in every size."""
    for each in CASES:
        for size in SIZES:
            yield each.name, size, each
