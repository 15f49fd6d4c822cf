"""Functions that tests start in several processes; the processes import this module."""

import copy
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from bnkit.distributed import SyncBatchNorm, all_reduce, function, sync_batch_norm


class Case(NamedTuple):
    """One batch, cut into a shard for each rank, and how to normalize it."""

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    dtype: torch.dtype = torch.float64
    kwargs: tuple[tuple[str, object], ...] = ()
    training: bool = True
    steps: int = 1
    penalty: bool = False  # train on the squared input gradient: differentiates backward again
    offset: float = 2.0  # mean of the batch


def make_batches(case):
    """The whole batch and the factors of its loss, for each step; alike on every rank."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2 * case.steps, *case.shape, generator=generator, dtype=torch.float64)
    return [(3 * x + case.offset, factors) for x, factors in drawn.to(case.dtype).split(2)]


def prepare(layer, case):
    """Parameters and statistics that are not the initial ones."""
    channels = torch.arange(1.0, case.shape[1] + 1, dtype=torch.float64)
    with torch.no_grad():
        for name, values in {"weight": channels, "bias": -channels / 2}.items():
            if getattr(layer, name) is not None:
                getattr(layer, name).copy_(values)
        if layer.running_mean is not None:
            layer.running_mean.copy_(channels / 3)
            layer.running_var.copy_(channels)
    return layer.train(case.training)


def train(layer, case, shard):
    """Normalize `shard(batch)` for some steps and differentiate; all that can be compared."""
    for batch, factors in make_batches(case):
        x = shard(batch).clone().requires_grad_()
        y = layer(x)
        loss = (shard(factors) * y.sin()).sum()
        if case.penalty:
            loss = torch.autograd.grad(loss, x, create_graph=True)[0].square().sum()
        loss.backward()
    gradients = {name: p.grad for name, p in layer.named_parameters()}
    state = copy.deepcopy(layer.state_dict())  # not the live tensors
    return {"y": y.detach(), "x.grad": x.grad, "grads": gradients, "state": state}


def run_cases(rank, world_size, cases):
    """What `rank` gets of each case, normalizing its shard."""
    results = {}
    for name, case in cases.items():
        dtype = torch.float32 if case.dtype == torch.bfloat16 else case.dtype
        layer = SyncBatchNorm(case.shape[1], dtype=dtype, **dict(case.kwargs))
        results[name] = train(prepare(layer, case), case, lambda t, c=case: t.split(c.sizes)[rank])
    return results


def run_in_subgroups(rank, world_size, case):
    """Each half of the ranks is a group of its own; the error of a rank outside its layer's."""
    half = world_size // 2
    groups = [dist.new_group(range(half)), dist.new_group(range(half, world_size))]
    layer = SyncBatchNorm(case.shape[1], process_group=groups[rank // half], dtype=case.dtype)
    result = train(prepare(layer, case), case, lambda t: t.split(case.sizes)[rank % half])
    odd = rank == world_size - 1
    differs = error_of(layer, torch.ones(4, *case.shape[1:], *[2] * odd, dtype=case.dtype))
    foreign = SyncBatchNorm(case.shape[1], process_group=groups[1 - rank // half])
    return result, differs, error_of(foreign, torch.ones(4, case.shape[1]))


def error_of(layer, *inputs):
    """Kind and text of what `layer` raises."""
    try:
        layer(*inputs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def evaluate_alone(rank, world_size):
    """Only rank 0 evaluates; rank 1 does not even call the layer."""
    layer = SyncBatchNorm(3).eval()
    return layer(torch.ones(1, 3)) if rank == 0 else None


def differ(rank, world_size):
    """Errors of each rank when rank 1 of 3 brings another kind of input; then a good call."""
    layer, odd = SyncBatchNorm(3), rank == 1
    errors = {
        "channels": error_of(layer, torch.ones(4, 5 if odd else 3)),
        "axes": error_of(layer, torch.ones(4, 3, *[2] * odd)),
        "dtype": error_of(layer, torch.ones(4, 3, dtype=torch.float64 if odd else None)),
        "gradient": error_of(layer, torch.ones(4, 3).requires_grad_(odd)),
        "layer": error_of(SyncBatchNorm(5 if odd else 3), torch.ones(4, 3)),
        "integers": error_of(layer, torch.ones(4, 3, dtype=torch.long)),
        "one value": error_of(layer, torch.ones(int(rank == 0), 3)),
        "all empty": error_of(layer, torch.ones(0, 3)),
    }
    return errors, layer(torch.full((2, 3), float(rank)))


def histories(rank, world_size):
    """As on a device for which the host does not wait: what ranks with unlike pasts get."""
    function._ASYNCHRONOUS = ("cpu",)
    reads, real = [], function.refuse_differences
    function.refuse_differences = lambda *args: (reads.append(1), real(*args))
    layer = SyncBatchNorm(3)

    def step(*shape):
        reads.clear()
        return error_of(layer, torch.full(shape, float(rank))), len(reads)

    found = {"first": step(4, 3), "same": step(4, 3), "longer": step(5 + rank, 3)}
    layer = SyncBatchNorm(3) if rank == 1 else layer
    found["one is new"] = step(4, 3)
    found["all change"] = step(4, 3, 2)
    found["one changes"] = step(4, 3, *[2] * (rank == 0))
    found["one is refused"] = step(4, 3 + rank, 2)
    found["one is short"] = step(4 * (rank == 0), 3, 2)
    found["again"] = step(4, 3, 2)
    return found, copy.deepcopy(layer.state_dict())


def derive(rank, world_size):
    """Derivatives of this rank's shard, by every way that PyTorch has."""
    x, t = (shard[rank] for shard in halves())
    shared = partial(sync_batch_norm, running_mean=None, running_var=None)
    return {name: way(shared, x, t) for name, way in WAYS.items()}


def halves():
    drawn = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [part.split((4, 2)) for part in drawn]


def forward_mode(f, x, t):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, t))).tangent


def twice(f, x, t):
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad((f(x) * t).sin().sum(), x, create_graph=True)
    return torch.autograd.grad(grad.square().sum(), x)[0]


WAYS = {
    "forward mode": forward_mode,
    "twice": twice,
    "func.jvp": lambda f, x, t: torch.func.jvp(f, (x,), (t,))[1],
    "func.vjp": lambda f, x, t: torch.func.vjp(f, x)[1](t)[0],
    "func.grad": lambda f, x, t: torch.func.grad(lambda x: (f(x) * t).sin().sum())(x),
    "jvp of grad": lambda f, x, t: torch.func.jvp(
        torch.func.grad(lambda x: f(x).sin().sum()), (x,), (t,)
    )[1],
    "vmap": lambda f, x, t: torch.func.vmap(f, in_dims=1, out_dims=1)(torch.stack([x, t], 1)),
}


def practice(rank, world_size):
    """What each practice gives of a shard, for a layer within a network."""
    return {name: do(sync_net(), lambda x: x.split((5, 3))[rank]) for name, do in PRACTICE.items()}


def sync_net(norm=SyncBatchNorm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), norm(3, momentum=None), nn.Tanh())


def run_net(net, run, shard):
    """Output and statistics of the second of two steps, gradients of both together."""
    x = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(1)) + 5
    for batch in x:
        y = run(net, shard(batch))
        y.float().square().sum().backward()
    state = {k: v.clone() for k, v in net[1].state_dict().items()}
    return y.detach().float(), [p.grad for p in net.parameters()], state


def in_autocast(net, x):
    with torch.autocast("cpu", torch.bfloat16):
        return net(x)


PRACTICE = {
    "autocast": lambda net, shard: run_net(net, in_autocast, shard),
    "checkpoint": lambda net, shard: run_net(net, partial(checkpoint, use_reentrant=False), shard),
    "compile": lambda net, shard: run_net(compiled(net), lambda net, x: net.graph(x), shard),
}


def compiled(net):
    net[1].momentum = 0.1  # PyTorch's own cumulative average breaks graphs
    net.graph = torch.compile(net.forward, fullgraph=True, backend="aot_eager")
    return net


def sum_twice(rank, world_size):
    """A sum over ranks, its gradient and the gradient of that."""
    x = torch.tensor([1.0 + rank, 2.0], dtype=torch.float64, requires_grad=True)
    total = all_reduce(x)
    (grad,) = torch.autograd.grad((total**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), x)
    return total.detach(), grad.detach(), second


def raise_in_one(rank, world_size):
    """Rank 1 raises while the others wait for it."""
    if rank == 1:
        raise KeyError("the number of channels")
    dist.all_reduce(torch.ones(1))


def kill_one(rank, world_size, folder):
    """Rank 1 is killed in the middle of training; it leaves the time of its death."""
    model = nn.Sequential(nn.Linear(4, 3), SyncBatchNorm(3))
    for step in range(10**9):
        model(torch.randn(8, 4)).square().sum().backward()
        if rank == 1 and step == 5:
            Path(folder, "death").write_text(str(time.time()))
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def leave(rank, world_size):
    """Rank 1 leaves as if all were well, without returning."""
    if rank == 1:
        os._exit(0)


def stay_away(rank, world_size):
    """Rank 1 never comes to the sum for which rank 0 waits."""
    if rank == 0:
        dist.all_reduce(torch.ones(1))
    time.sleep(600)


def wait_forever(rank, world_size, folder):
    """Leave the process id, then wait."""
    Path(folder, f"{rank}.part").write_text(str(os.getpid()))
    Path(folder, f"{rank}.part").rename(Path(folder, f"{rank}.pid"))
    time.sleep(600)


def settings(rank, world_size):
    """What launch prepared."""
    return dist.get_rank(), dist.get_world_size(), dist.get_backend(), torch.get_num_threads()


class JoinsLate:
    """An argument that keeps the last rank, once connected, from joining for a second."""

    def __setstate__(self, state):  # a process unpickles its arguments before it joins
        distributed = dist.distributed_c10d
        connect = distributed.ProcessGroupGloo

        def connect_late(store, rank, size, *args, **kwargs):
            group = connect(store, rank, size, *args, **kwargs)
            if rank == size - 1:
                time.sleep(1)
                os.environ["JOINED"] = str(time.time())
            return group

        distributed.ProcessGroupGloo = connect_late

    def __getstate__(self):
        return {"late": True}  # an empty state would not be set


def joined_and_began(rank, world_size, late):
    """When this rank was late in joining, if it was, and when it began to work."""
    return os.environ.get("JOINED"), time.time()
