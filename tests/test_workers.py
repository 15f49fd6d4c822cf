"""What chapter 17 runs in several processes, run for real with gloo."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnkit.book import workers
from bnkit.distributed import launch
from bnkit.models import MLP
from bnkit.training import set_seed

SEEDS, SIZES = (3, 4), [4, 1]


def batch():
    torch.manual_seed(0)
    return torch.randn(2, 5, 3, dtype=torch.float64)  # x and the gradient by the output


def digits():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (700, 784), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 10, (700,), generator=generator)


@pytest.fixture(scope="module")
def ranks():
    """What two processes return; one start for all tests, since it costs seconds."""
    images, labels = digits()
    pixels, batches = images.double() / 255, torch.arange(32).split(8)
    jobs = [
        (workers.train_replicas, SEEDS, pixels, labels, batches),
        (workers.normalize_shard, *batch(), SIZES),
        (workers.time_synchronization, [1, 2], [(4, 3)], [1, 8], 2),
    ]
    return launch(workers.in_turn, 2, jobs)


def trained_alone(norm, seed):
    images, labels = digits()
    set_seed(seed)
    net = MLP([784, 32, 10], norm=norm).double()
    for rows in torch.arange(32).split(8):
        loss = F.cross_entropy(net(images[rows].double() / 255), labels[rows])
        grads = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, grad in zip(net.parameters(), grads, strict=True):
                p -= 0.1 * grad
    return net.state_dict()


def difference(one, other):
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize("name", ["without BN", "SyncBN"])
@pytest.mark.parametrize("seed", SEEDS)
def test_replicas_without_bn_or_with_sync_bn_train_like_one_process(ranks, name, seed):
    alone = trained_alone("none" if name == "without BN" else "torch", seed)
    for replicas, *_ in ranks:
        assert difference(replicas[name][SEEDS.index(seed)], alone) < 1e-12


def test_replicas_with_local_bn_share_their_weights_but_neither_statistics_nor_the_large_batch(
    ranks,
):
    first, second = (replicas["local BN"][0] for replicas, *_ in ranks)
    assert torch.equal(first["0.weight"], second["0.weight"])
    assert (first["1.running_mean"] - second["1.running_mean"]).abs().max() > 1e-3
    assert difference(first, trained_alone("torch", SEEDS[0])) > 1e-3


def test_the_shards_of_a_batch_are_normalized_like_the_whole(ranks):
    x, grad = batch()
    layer, whole = nn.BatchNorm1d(3, dtype=x.dtype), x.clone().requires_grad_()
    output = layer(whole)
    output.backward(grad)
    shards = [shard for _, shard, *_ in ranks]
    for name, expected in {"output": output, "grad_input": whole.grad}.items():
        joined = torch.cat([shard[name] for shard in shards])
        torch.testing.assert_close(joined, expected.detach(), rtol=0, atol=1e-12)
    for name in ("weight", "bias"):
        total = sum(shard[f"grad_{name}"] for shard in shards)
        torch.testing.assert_close(total, getattr(layer, name).grad, rtol=0, atol=1e-12)
    for name in ("running_mean", "running_var"):
        assert all(
            torch.allclose(s[name], getattr(layer, name), rtol=0, atol=1e-12) for s in shards
        )


def test_timings_cover_every_group_layer_and_message(ranks):
    for rank, (*_, timed) in enumerate(ranks):
        for part, names in {
            "layers": {((4, 3), "local"), ((4, 3), "synchronized")},
            "messages": {1, 8},
        }.items():
            assert set(timed[part]) == ({1, 2} if rank == 0 else {2}), "rank 1 is in no group of 1"
            for seconds in timed[part].values():
                assert set(seconds) == names
                assert all(len(row) == 2 and min(row) > 0 for row in seconds.values())


def test_each_round_has_an_order_of_its_own_that_all_processes_share():
    names = list(range(8))
    orders = [workers._shuffled(names, turn) for turn in range(4)]
    assert orders == [workers._shuffled(names, turn) for turn in range(4)]
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) == 4
