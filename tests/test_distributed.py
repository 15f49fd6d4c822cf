"""bnkit.distributed: shards in several processes are one batch."""

import copy
import pickle

import pytest
import rank_workers
import torch
import torch.distributed as dist
from rank_workers import Case
from torch import nn

from bnkit import layers
from bnkit.distributed import SyncBatchNorm, convert_sync_batchnorm, launch

TORCH = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
UNEVEN = {2: (5, 3), 4: (1, 4, 2, 1)}


def make_cases(world_size):
    """Named cases for that number of processes."""
    uneven = UNEVEN[world_size]
    return {
        "1d": Case((8, 3), (8 // world_size,) * world_size),
        "1d, uneven": Case((8, 3), uneven),
        "1d with length": Case((8, 3, 5), uneven),
        "2d": Case((8, 3, 4, 5), (8 // world_size,) * world_size),
        "2d, uneven": Case((8, 3, 4, 5), uneven),
        "3d": Case((8, 2, 2, 3, 2), uneven),
        "one example each": Case((world_size, 3), (1,) * world_size),
        "an empty shard": Case((8, 3, 2), (0, 8, *[0] * (world_size - 2))),
        "eval": Case((8, 3), uneven, training=False),
        "eval, 2d": Case((8, 3, 4, 5), uneven, training=False),
        "several steps": Case((8, 3), uneven, steps=3),
        "cumulative average": Case((8, 3), uneven, steps=3, kwargs=(("momentum", None),)),
        "without parameters": Case((8, 3), uneven, kwargs=(("affine", False),)),
        "without statistics": Case((8, 3), uneven, kwargs=(("track_running_stats", False),)),
        "gradient penalty": Case((8, 3), uneven, penalty=True),
        "gradient penalty, 2d": Case((8, 3, 2, 3), uneven, penalty=True),
        "float32": Case((8, 3), uneven, dtype=torch.float32),
        "float32 far from 0": Case((8, 3), uneven, dtype=torch.float32, offset=1e4),
        "bfloat16": Case((8, 3), uneven, dtype=torch.bfloat16),
        "float32 images far from 0": Case((8, 3, 4, 4), uneven, dtype=torch.float32, offset=1e4),
    }


TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 2e-2}


@pytest.fixture(scope="module", params=UNEVEN)
def sharded(request):
    """All cases, and what each rank got of them, for each number of processes."""
    cases = make_cases(request.param)
    return cases, launch(rank_workers.run_cases, request.param, cases)


@pytest.fixture(scope="module")
def mismatches():
    return launch(rank_workers.differ, 3)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    store = dist.FileStore(str(tmp_path_factory.mktemp("store") / "file"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def whole(case):
    """PyTorch's layer on the whole batch, in one process."""
    dtype = torch.float32 if case.dtype == torch.bfloat16 else case.dtype
    layer = TORCH[len(case.shape)](case.shape[1], dtype=dtype, **dict(case.kwargs))
    return rank_workers.train(rank_workers.prepare(layer, case), case, lambda t: t)


def assert_same(ranks, expected, case):
    close = {"rtol": 0, "atol": TOLERANCE[case.dtype]}
    if case.offset > 100:
        close = {"rtol": 1e-3, "atol": 1e-2}
    for name in ("y", "x.grad"):
        together = torch.cat([rank[name] for rank in ranks])
        torch.testing.assert_close(together, expected[name], **close)
    for name, gradient in expected["grads"].items():
        total = sum(rank["grads"][name] for rank in ranks)
        torch.testing.assert_close(total, gradient, **close)
    for rank in ranks:
        assert list(rank["state"]) == list(expected["state"])
        torch.testing.assert_close(rank["state"], expected["state"], **close)


@pytest.mark.parametrize("name", make_cases(2))
def test_shards_in_several_processes_equal_the_whole_batch_in_one(sharded, name):
    cases, ranks = sharded
    assert_same([results[name] for results in ranks], whole(cases[name]), cases[name])


def test_running_statistics_have_the_same_bits_on_every_rank(sharded):
    first, *others = [results["several steps"]["state"] for results in sharded[1]]
    assert all(torch.equal(other[key], first[key]) for other in others for key in first)


def test_a_process_group_shares_statistics_within_itself_only():
    case = Case((8, 3), (5, 3))
    ranks = launch(rank_workers.run_in_subgroups, 4, case)
    for pair in (ranks[:2], ranks[2:]):
        assert_same([result for result, _, _ in pair], whole(case), case)
    assert [differs for _, differs, _ in ranks[:2]] == [None, None]
    assert all("ValueError: rank 3 differs" in differs for _, differs, _ in ranks[2:])
    assert all("with rank" in foreign for _, _, foreign in ranks)


@pytest.mark.parametrize("kind", ["channels", "axes", "dtype", "gradient"])
def test_inputs_that_differ_give_one_error_on_every_rank_naming_the_odd_one(mismatches, kind):
    errors = {errors[kind] for errors, _ in mismatches}
    assert len(errors) == 1
    assert errors.pop().startswith("ValueError: rank 1 differs from the others: expected ")


def test_a_refusal_on_one_rank_reaches_the_others(mismatches):
    texts = [errors["layer"] for errors, _ in mismatches]
    assert "expected running_mean of shape (3,)" in texts[1]
    assert all("refusal by rank 1" in texts[rank] for rank in (0, 2))


def test_what_no_rank_can_normalize_is_refused_on_all(mismatches):
    assert all("floating point" in errors["integers"] for errors, _ in mismatches)
    assert all("more than 1 value per channel" in e["one value"] for e, _ in mismatches)
    assert [errors["all empty"] for errors, _ in mismatches] == [None] * 3


def test_the_processes_still_work_together_after_a_refusal(mismatches):
    together = torch.cat([y for _, y in mismatches])
    expected = nn.BatchNorm1d(3)(torch.arange(3.0).repeat_interleave(2)[:, None].expand(6, 3))
    torch.testing.assert_close(together, expected)


@pytest.fixture(scope="module")
def pasts():
    return launch(rank_workers.histories, 2)


def test_the_host_reads_at_the_first_step_and_after_a_change_of_its_own_input_alone(pasts):
    for found, _ in pasts:
        assert found["first"] == (None, 1) and found["all change"] == (None, 1)
        assert found["same"] == found["longer"] == found["again"] == (None, 0)


def test_ranks_with_unlike_histories_neither_wait_nor_differ(pasts):
    (first, state), (second, other) = pasts
    assert first["one is new"] == (None, 0) and second["one is new"] == (None, 1)
    assert first["one is short"] == (None, 0) and second["one is short"] == (None, 1)
    assert state["num_batches_tracked"] == other["num_batches_tracked"] + 3


def test_a_rank_that_does_not_read_fails_with_the_one_that_does(pasts):
    (first, _), (second, _) = pasts
    for case in ("one changes", "one is refused"):
        assert "inputs of one kind on all ranks" in first[case][0]
        assert "rank 1 differs from the others" in second[case][0]


@pytest.fixture(scope="module")
def derivatives():
    return launch(rank_workers.derive, 2)


@pytest.mark.parametrize("way", rank_workers.WAYS)
def test_every_way_to_differentiate_passes_through_the_other_ranks(derivatives, way):
    def batch_norm(x):
        return nn.functional.batch_norm(x, None, None, training=True)

    x, t = (torch.cat(parts) for parts in rank_workers.halves())
    together = torch.cat([found[way] for found in derivatives])
    torch.testing.assert_close(together, rank_workers.WAYS[way](batch_norm, x, t))


@pytest.fixture(scope="module")
def practices():
    return launch(rank_workers.practice, 2)


@pytest.mark.parametrize("name", rank_workers.PRACTICE)
def test_autocast_checkpointing_and_one_compiled_graph_take_the_synchronized_layer(practices, name):
    alone = rank_workers.sync_net(nn.BatchNorm1d)
    y, grads, state = rank_workers.PRACTICE[name](alone, lambda x: x)
    ranks = [found[name] for found in practices]
    atol = 0.2 if name == "autocast" else 1e-4  # gradients that almost cancel, in bfloat16
    close = {"rtol": 1e-4, "atol": atol}
    torch.testing.assert_close(torch.cat([rank[0] for rank in ranks]), y, **close)
    for i, grad in enumerate(grads):
        torch.testing.assert_close(sum(rank[1][i] for rank in ranks), grad, **close)
    for rank in ranks:
        torch.testing.assert_close(rank[2], state, **close)


def test_evaluation_needs_no_other_rank():
    outputs = launch(rank_workers.evaluate_alone, 2, timeout=5)
    torch.testing.assert_close(outputs[0], nn.BatchNorm1d(3).eval()(torch.ones(1, 3)))


def same_as_batch_norm():
    for shape in [(8, 3), (8, 3, 5), (8, 3, 4, 5), (8, 2, 2, 3, 2), (0, 3)]:
        for training in (True, False):
            case = Case(shape, (), training=training)
            layer = SyncBatchNorm(shape[1], dtype=torch.float64)
            result = rank_workers.train(rank_workers.prepare(layer, case), case, lambda t: t)
            if shape[0]:
                assert_same([result], whole(case), case)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        SyncBatchNorm(3)(torch.ones(1, 3))


def test_without_a_process_group_it_is_batch_norm():
    assert not dist.is_initialized()
    same_as_batch_norm()


def test_with_one_process_it_is_batch_norm(one_process):
    assert dist.get_world_size() == 1
    same_as_batch_norm()


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"SyncBatchNorm expected 2D or more .* got 1D"):
        SyncBatchNorm(3)(torch.ones(3))


def test_a_copy_shares_the_process_group_and_nothing_else(one_process):
    layer = SyncBatchNorm(3, process_group=dist.new_group([0]))
    layer(torch.randn(8, 3)).sum().backward()
    twin = copy.deepcopy(layer)
    assert twin.process_group is layer.process_group
    twin(torch.randn(8, 3))
    assert twin.weight is not layer.weight
    assert not torch.equal(twin.running_mean, layer.running_mean)


NORMS = [
    nn.BatchNorm1d(3),
    nn.BatchNorm2d(3, eps=0.1, momentum=None),
    nn.BatchNorm3d(3, affine=False),
    nn.SyncBatchNorm(3, track_running_stats=False),
    nn.BatchNorm1d(3, dtype=torch.float64).eval(),
    nn.BatchNorm1d(3, device="meta"),
    layers.BatchNorm1d(3, bias=False),
    layers.BatchNorm2d(3, track_running_stats=False),
    layers.BatchNorm3d(3, momentum=0.3),
]


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: f"{type(norm).__module__}.{norm}")
def test_conversion_keeps_all_that_a_layer_holds(norm):
    converted = convert_sync_batchnorm(norm)
    assert type(converted) is SyncBatchNorm and converted is not norm
    for name in ("num_features", "eps", "momentum", "affine", "track_running_stats", "training"):
        assert getattr(converted, name) == getattr(norm, name)
    before, after = (dict(n.state_dict(keep_vars=True)) for n in (norm, converted))
    assert list(before) == list(after) and all(before[key] is after[key] for key in before)


def test_conversion_finds_layers_at_any_depth_and_leaves_the_others():
    shared = nn.BatchNorm1d(3)
    model = nn.ModuleDict(
        {
            "deep": nn.Sequential(nn.Linear(3, 3), nn.Sequential(shared, nn.InstanceNorm1d(3))),
            "again": shared,
            "own": layers.BatchNorm1d(3),
        }
    )
    keys = list(model.state_dict())
    assert convert_sync_batchnorm(model) is model
    found = [type(m).__name__ for m in model.modules() if "Norm" in type(m).__name__]
    assert found == ["SyncBatchNorm", "InstanceNorm1d", "SyncBatchNorm"]
    assert model["again"] is model["deep"][1][0]
    assert list(model.state_dict()) == keys


def test_conversion_in_two_places_of_one_parent_converts_both():
    shared = nn.BatchNorm1d(3)
    model = convert_sync_batchnorm(nn.Sequential(shared, nn.ReLU(), shared))
    assert type(model[0]) is SyncBatchNorm and model[2] is model[0]


def test_conversion_leaves_what_is_synchronized_with_its_group(one_process):
    group = dist.new_group([0])
    ours, torchs = SyncBatchNorm(3, process_group=group), nn.SyncBatchNorm(3, process_group=group)
    model = convert_sync_batchnorm(nn.Sequential(ours, torchs, nn.BatchNorm1d(3)), dist.group.WORLD)
    assert model[0] is ours and type(model[1]) is SyncBatchNorm
    assert [layer.process_group for layer in model] == [group, group, dist.group.WORLD]


class Shifted(nn.BatchNorm1d):
    """A batch norm with a parameter and an attribute of its own."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.shift = nn.Parameter(torch.ones(num_features))
        self.times = 2

    def forward(self, input):
        return super().forward(input) * self.times + self.shift


class OurShifted(layers.BatchNorm1d):
    """The same of bnkit's."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.shift = nn.Parameter(torch.ones(num_features))
        self.times = 2

    def forward(self, input):
        return super().forward(input) * self.times + self.shift


class Named(nn.SyncBatchNorm):
    """A synchronized one that adds a name."""

    def __init__(self, num_features):
        super().__init__(num_features)
        self.times, self.shift = "name", self.weight


class Other(nn.BatchNorm1d):
    def forward(self, input):
        return nn.functional.batch_norm(input, None, None, training=True)


class Heir(Other):
    def forward(self, input):
        return 2 * super().forward(input)


@pytest.mark.parametrize("kind", [Shifted, OurShifted, Named])
def test_conversion_keeps_what_a_subclass_adds(kind):
    norm, x = kind(3), torch.randn(8, 3)
    converted = convert_sync_batchnorm(norm)
    assert isinstance(converted, SyncBatchNorm) and isinstance(converted, kind)
    assert converted.shift is norm.shift and list(converted.state_dict()) == list(norm.state_dict())
    assert converted.times == norm.times
    twin = copy.deepcopy(converted)
    twin(x)
    torch.testing.assert_close(twin.running_mean, 0.1 * x.mean(0))
    loaded = pickle.loads(pickle.dumps(twin))
    assert type(loaded) is type(twin) and loaded.times == norm.times
    torch.testing.assert_close(loaded.state_dict(), twin.state_dict())
    torch.testing.assert_close(converted.eval()(x), kind(3).eval()(x))


def test_conversion_refuses_a_subclass_that_would_not_be_synchronized():
    with pytest.raises(ValueError, match=r"calls super's, got Other\.forward"):
        convert_sync_batchnorm(nn.Sequential(Other(3)))
    with pytest.raises(ValueError, match=r"calls super's, got Other\.forward"):
        convert_sync_batchnorm(nn.Sequential(Heir(3)))
    replaced = nn.BatchNorm1d(3)
    replaced.forward = lambda input: input
    with pytest.raises(ValueError, match="expected no forward of its own, got BatchNorm1d"):
        convert_sync_batchnorm(nn.Sequential(replaced))


def test_conversion_keeps_hooks():
    seen, norm = [], nn.BatchNorm1d(3)
    norm.register_forward_hook(lambda *_: seen.append(1))
    convert_sync_batchnorm(nn.Sequential(norm))(torch.randn(8, 3))
    assert seen == [1]


def test_conversion_refuses_a_layer_that_does_not_know_its_channels():
    with pytest.raises(ValueError, match="expected known channels"):
        convert_sync_batchnorm(nn.Sequential(nn.LazyBatchNorm1d()))


def test_weights_load_from_pytorch_and_back():
    layer, torchs = SyncBatchNorm(3), nn.BatchNorm1d(3)
    layer(torch.randn(8, 3))
    torchs.load_state_dict(layer.state_dict())
    SyncBatchNorm(3).load_state_dict(torchs.state_dict())
    torch.testing.assert_close(torchs.state_dict(), layer.state_dict())
