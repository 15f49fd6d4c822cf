"""bnkit.distributed.replicas: several processes train as one."""

import copy

import pytest
import replica_workers
import torch
import torch.distributed as dist
from replica_workers import loaders, net, train, uneven_batches

from bnkit.distributed import launch, replicas
from bnkit.distributed.replicas import Replicas, torchrun_processes
from bnkit.models import MLP
from bnkit.training import evaluate, set_seed


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What three processes return from every scenario."""
    return launch(replica_workers.all_scenarios, 3, str(tmp_path_factory.mktemp("runs")))


def of(ranks, scenario):
    return [rank[scenario] for rank in ranks]


def assert_same(runs):
    """Bit by bit: the epochs and the weights of every run."""
    (history, weights), *others = runs
    for other_history, other_weights in others:
        assert other_history == history
        assert all(other_weights[k].equal(v) for k, v in weights.items())


def assert_close(run, other, **tolerance):
    torch.testing.assert_close(run[0].train_loss, other[0].train_loss, **tolerance)
    torch.testing.assert_close(run[0].val_loss, other[0].val_loss, **tolerance)
    torch.testing.assert_close(run[1], other[1], **tolerance)


def test_with_synchronized_statistics_three_processes_train_as_one(ranks):
    set_seed(0)
    model = net()
    alone = train(model, *loaders())
    for history, weights, score in of(ranks, "synchronized"):
        assert_close((history, weights), alone, rtol=1e-9, atol=1e-12)
        assert score == pytest.approx(evaluate(model, loaders()[1]), rel=1e-5)


def test_synchronized_replicas_stay_equal_bit_by_bit(ranks):
    assert_same([run[:2] for run in of(ranks, "synchronized")])


def test_local_statistics_are_those_of_rank_0_everywhere(ranks):
    assert_same(of(ranks, "local"))
    set_seed(0)
    _, weights = train(net(), *loaders())
    _, local = ranks[0]["local"]
    assert not torch.allclose(weights["2.1.running_var"], local["2.1.running_var"], rtol=1e-2)


def test_early_stopping_is_decided_once_and_its_weights_come_back_everywhere(ranks):
    runs = of(ranks, "stopping")
    assert_same(runs)
    history = runs[0][0]
    assert history.best_epoch < history.stopped_epoch < 99


def test_processes_with_different_batch_counts_finish_and_weigh_every_sample_alike(ranks):
    assert_same(of(ranks, "uneven"))
    set_seed(0)
    alone = train(net("none"), uneven_batches(), loaders()[1])
    assert_close(ranks[0]["uneven"], alone, rtol=1e-9, atol=1e-12)


def test_a_resumed_run_is_the_uninterrupted_one_on_every_process(ranks):
    for whole, first, again in of(ranks, "resumed"):
        assert len(first[0].train_loss) == 2
        assert_same([whole, again])


def test_an_interrupt_of_one_process_ends_all_in_the_same_step(ranks):
    runs = of(ranks, "interrupted")
    assert_same(runs)
    assert runs[0][0].interrupted and len(runs[0][0].val_loss) == 1


def test_a_process_without_batches_is_an_error_on_all(ranks):
    messages = of(ranks, "odd")
    assert set(messages) == {"expected loaders with at least one batch each, got [0, 1, 2]"}


def test_a_checkpoint_that_cannot_be_written_is_an_error_on_all(ranks):
    (message,) = set(of(ranks, "full"))
    assert message.startswith("cannot write") and "No such file" in message


def test_replicas_need_a_process_group():
    with pytest.raises(RuntimeError, match="expected a process group"):
        Replicas()


@pytest.mark.parametrize(
    ("gpus", "processes", "backend"),
    [(0, 2, "gloo"), (1, 2, "gloo"), (2, 2, "nccl"), (8, 2, "nccl")],
)
def test_torchrun_takes_nccl_if_every_local_process_has_its_gpu(
    monkeypatch, gpus, processes, backend
):
    environment = {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": str(processes), "RANK": "5"}
    for name, value in {"TORCHELASTIC_RUN_ID": "run", **environment}.items():
        monkeypatch.setenv(name, value)
    calls = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: True)
    monkeypatch.setattr(
        dist, "init_process_group", lambda *a, **options: calls.append((*a, options))
    )
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("end"))
    monkeypatch.setattr(replicas, "Replicas", lambda: "replicas")
    with torchrun_processes() as made:
        assert made == "replicas"
    device = torch.device("cuda", 1) if backend == "nccl" else None
    assert calls == [*([device] if device else []), (backend, {"device_id": device}), "end"]


def test_alignment_sends_one_message_for_each_dtype(monkeypatch):
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        sent, model = [], MLP([4, 3, 2], norm="bnkit")
        before = copy.deepcopy(model.state_dict())
        monkeypatch.setattr(
            dist, "broadcast", lambda t, *_, **__: (sent.append(t.dtype), t.add_(1))
        )
        members = Replicas()
        members.align(model)
    finally:
        dist.destroy_process_group()
    assert sent == [torch.float32, torch.int64] and members.device == "cpu"
    for name, value in model.state_dict().items():
        assert value.equal(before[name] + 1), name


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with torchrun_processes() as processes:
        assert (processes.rank, processes.world_size) == (0, 1)
        assert not isinstance(processes, Replicas)
