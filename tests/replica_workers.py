"""What tests of several replicas start; the processes import this module."""

import copy
import signal
from pathlib import Path

import torch
from torch import nn

from bnkit.data.loader import BatchLoader
from bnkit.distributed import Replicas, convert_sync_batchnorm
from bnkit.models import MLP
from bnkit.training import EarlyStopping, evaluate, fit, set_seed

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = (X @ torch.randn(6, 3, generator=torch.Generator().manual_seed(1))).argmax(1)
UNEVEN = [[12, 4], [3, 5, 6], [2]]  # sizes of the batches of each rank


class Double(nn.Module):
    """Compare in float64: what is left is not rounding."""

    def forward(self, x):
        return x.double()


def net(norm="bnkit", dropout=0.0):
    return nn.Sequential(Double(), nn.Dropout(dropout), MLP([6, 16, 8, 3], norm=norm).double())


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.3, momentum=0.9)


def loaders():
    """A last batch of four samples: of three processes one gets none of it."""
    return BatchLoader(X, Y, 12, shuffle=True, seed=3), BatchLoader(X, Y, 16)


def train(model, train_loader, val_loader, **options):
    """Return what must be the same everywhere."""
    defaults = {"epochs": 3, "optimizer": sgd, "early_stopping": EarlyStopping(9)}
    history = fit(model, train_loader, val_loader, **{**defaults, **options})
    return history, copy.deepcopy(model.state_dict())


def uneven_batches(rank=None):
    """The batches of one rank, or, for one process alone, those of all ranks joined."""
    if rank is not None:
        start = sum(map(sum, UNEVEN[:rank]))
        parts = [part[start:][: sum(UNEVEN[rank])].split(UNEVEN[rank]) for part in (X, Y)]
        return list(zip(*parts, strict=True))
    ranks = [uneven_batches(rank) for rank in range(3)]
    steps = max(map(len, ranks))
    shares = [[batches[step] for batches in ranks if step < len(batches)] for step in range(steps)]
    return [tuple(torch.cat(parts) for parts in zip(*share, strict=True)) for share in shares]


def all_scenarios(rank, world_size, folder):
    """Run every scenario in one group of processes, since each takes seconds to start."""
    replicas = Replicas()
    names = (synchronized, local, stopping, uneven, resumed, interrupted, odd, full)
    return {f.__name__: f(replicas, folder) for f in names}


def synchronized(replicas, folder):
    set_seed(replicas.rank)  # rank 0's weights count
    model = convert_sync_batchnorm(net())
    result = train(model, *fresh(replicas), replicas=replicas)
    return *result, evaluate(model, fresh(replicas)[1], replicas=replicas)


def local(replicas, folder):
    set_seed(0)
    return train(net(), *fresh(replicas), replicas=replicas)


def stopping(replicas, folder):
    set_seed(0)
    rule = EarlyStopping(patience=2, delta=0.05)
    return train(net(), *fresh(replicas), epochs=99, early_stopping=rule, replicas=replicas)


def uneven(replicas, folder):
    set_seed(0)
    batches = uneven_batches(replicas.rank)
    return train(net("none"), batches, fresh(replicas)[1], replicas=replicas)


def resumed(replicas, folder):
    """Draws differ between the ranks, so each needs its own random state back."""
    runs = []
    path = Path(folder, "run.pt")
    for options in ({}, {"epochs": 2, "checkpoint": path}, {"resume": path}):
        set_seed(replicas.rank + 10 * len(runs) if options.get("resume") else replicas.rank)
        model = convert_sync_batchnorm(net(dropout=0.2))
        runs.append(train(model, *fresh(replicas), replicas=replicas, **options))
    return runs


class Pressed(list):
    """Batches in the second epoch of which somebody presses Ctrl-C."""

    epoch = 0

    def __iter__(self):
        self.epoch += 1
        for i, batch in enumerate(super().__iter__()):
            if self.epoch == 2 and i == 1:
                signal.raise_signal(signal.SIGINT)
            yield batch


def interrupted(replicas, folder):
    set_seed(0)
    train_part, val_part = fresh(replicas)
    batches = list(train_part)
    loader = Pressed(batches) if replicas.rank == 1 else batches
    return train(net(), loader, val_part, replicas=replicas)


def odd(replicas, folder):
    """An empty loader on one rank is told to all of them."""
    try:
        list(replicas.batches([(X, Y)] * replicas.rank))
    except ValueError as error:
        return str(error)


def full(replicas, folder):
    """Only rank 0 writes, yet all of them have to end."""
    try:
        train(net(), *fresh(replicas), checkpoint=Path(folder, "none", "run.pt"), replicas=replicas)
    except OSError as error:
        return error.strerror


def fresh(replicas):
    return [loader.shard(replicas.rank, replicas.world_size) for loader in loaders()]
