import copy
import gc
import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from bnkit.data import bundled_mnist, mnist_loaders
from bnkit.data.loader import BatchLoader
from bnkit.models import MLP, BatchNormNet
from bnkit.training import evaluate, fit, set_seed
from bnkit.training.early_stopping import EarlyStopping


def batches(n=40, batch_size=16, features=6, classes=3):
    """A small task with a short last batch, as a list of (input, target)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, features, generator=generator)
    y = (x @ torch.randn(features, classes, generator=generator)).argmax(1)
    return list(zip(x.split(batch_size), y.split(batch_size), strict=True))


def net(**options):
    set_seed(0)
    return MLP([6, 16, 3], **options)


class Losses:
    """A loss whose value in evaluation follows a script; in training it is the cross entropy."""

    def __init__(self, model, script):
        self.model, self.script = model, iter(script)

    def __call__(self, output, target):
        if self.model.training:
            return F.cross_entropy(output, target)
        return torch.tensor(next(self.script))


def scripted(script, patience=3, delta=0.0, **options):
    """Run `fit` with given validation losses; also return the weights after each epoch."""
    model, weights = net(), []
    stop = EarlyStopping(patience, delta)
    val = [(torch.zeros(2, 6), torch.zeros(2).long())]

    def remember(history):
        weights.append(copy.deepcopy(model.state_dict()))

    history = fit(
        model,
        batches(),
        val,
        loss_fn=Losses(model, script),
        early_stopping=stop,
        on_epoch=remember,
        **{"epochs": len(script), **options},
    )
    return model, history, weights


def same(state, other):
    return all(v.equal(other[k]) for k, v in state.items())


def test_set_seed_repeats_python_numpy_and_torch():
    draws = []
    for _ in range(2):
        set_seed(7)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]


def test_evaluate_means_over_samples_not_batches():
    model, loader = net(norm="none"), batches(40, 16)
    x, y = (torch.cat(parts) for parts in zip(*loader, strict=True))
    loss, accuracy = evaluate(model, loader)
    assert loss == pytest.approx(F.cross_entropy(model(x), y).item(), abs=1e-6)
    assert accuracy == pytest.approx((model(x).argmax(1) == y).float().mean().item(), abs=1e-6)
    batch_means = [F.cross_entropy(model(a), b).item() for a, b in loader]
    assert abs(sum(batch_means) / 3 - loss) > 1e-3


def test_evaluate_uses_the_running_statistics_and_leaves_them_alone():
    model = net()
    before = copy.deepcopy(model.state_dict())
    evaluate(model, batches())
    assert same(model.state_dict(), before)


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_gives_every_module_its_mode_back(training):
    model = net().train(training)
    model[1].train(not training)
    modes = [m.training for m in model.modules()]
    evaluate(model, batches())
    assert [m.training for m in model.modules()] == modes


def test_evaluate_gives_the_mode_back_after_an_error():
    model = net()
    with pytest.raises(ValueError, match="features a sample"):
        evaluate(model, [(torch.zeros(2, 5), torch.zeros(2).long())])
    assert model.training


def test_evaluate_takes_another_loss_and_has_no_accuracy_for_numbers():
    model = nn.Linear(2, 1)
    x = torch.randn(5, 2)
    loss, accuracy = evaluate(model, [(x, model(x).detach() + 2)], F.mse_loss)
    assert loss == pytest.approx(4.0) and math.isnan(accuracy)


def test_evaluate_takes_classes_in_a_column_for_what_they_are():
    model, x = nn.Identity(), torch.eye(4)[:, :3] + torch.tensor([0.0, 0.0, 0.5])
    y = torch.tensor([[0], [1], [2], [0]])

    def loss_fn(output, target):
        return F.cross_entropy(output, target.squeeze(1))

    assert evaluate(model, [(x, y)], loss_fn)[1] == pytest.approx(0.75)
    assert evaluate(model, [(x, y.squeeze(1))])[1] == pytest.approx(0.75)


def test_evaluate_counts_every_position_of_an_image():
    scores = torch.stack([torch.zeros(2, 4), torch.eye(4)[:2]], 1)  # (N, C, L): class 1 once each
    assert evaluate(nn.Identity(), [(scores, torch.zeros(2, 4).long())])[1] == 0.75


@pytest.mark.parametrize(
    ("output", "target"),
    [
        ((4, 1), torch.arange(4)[:, None]),  # regression with whole numbers
        ((4, 1), torch.arange(4)),
        ((4,), torch.arange(4)),  # one output a sample
        ((4,), torch.arange(4).float()),
        ((4, 3), torch.arange(12).view(4, 3)),  # several numbers a sample
        ((4, 3), torch.rand(4, 3)),  # probabilities
        ((4, 3, 5), torch.arange(4)),
        ((4, 3), torch.tensor([0, 1, 2, 3])),  # numbers that are no classes of three
        ((4, 3), torch.tensor([0, 1, -2, 2])),
    ],
)
def test_accuracy_is_nan_where_there_are_no_classes(output, target):
    def loss_fn(output, target):
        return output.mean() + target.float().mean()

    loss, accuracy = evaluate(nn.Identity(), [(torch.ones(output), target)], loss_fn)
    assert math.isnan(accuracy) and loss == pytest.approx(1 + target.float().mean().item())


@pytest.mark.parametrize("shape", [(4,), (2, 2), (4, 1)])
def test_targets_that_the_loss_ignores_do_not_count(shape):
    scores = torch.eye(4)[:, :3].view(*shape[:-1], -1, 3).movedim(-1, 1)
    scores = scores if shape != (4, 1) else torch.eye(4)[:, :3]
    target = torch.tensor([0, 2, -100, -100]).view(shape)
    loss_fn = None if shape != (4, 1) else lambda a, b: F.cross_entropy(a, b.squeeze(1))
    assert evaluate(nn.Identity(), [(scores, target)], loss_fn)[1] == 0.5


@pytest.mark.parametrize("empty", [[], [(torch.zeros(0, 6), torch.zeros(0).long())]])
def test_evaluate_refuses_an_empty_loader(empty):
    with pytest.raises(ValueError, match="at least one sample, got an empty one"):
        evaluate(net(), empty)


@pytest.mark.parametrize("norm", ["torch", "bnkit", "none"])
def test_fit_learns(norm):
    history = fit(net(norm=norm), batches(), batches(), epochs=30, lr=1e-2)
    assert len(history.train_loss) == len(history.val_loss) == len(history.val_accuracy) == 30
    assert history.val_loss[-1] < 0.5 * history.val_loss[0] and history.val_accuracy[-1] > 0.9
    assert history.stopped_epoch is None and history.best_epoch > 1


def test_fit_is_the_plain_loop():
    ours, theirs = net(), net()
    history = fit(ours, batches(), epochs=2)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    for epoch in range(2):
        total = 0.0
        for x, y in batches():
            loss = F.cross_entropy(theirs(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        assert history.train_loss[epoch] == pytest.approx(total / 40)
    assert same(ours.state_dict(), theirs.state_dict())


def test_fit_repeats_bit_by_bit():
    runs = [fit(net(), batches(), batches(), epochs=3) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("norm", ["torch", "bnkit"])
def test_a_seed_and_a_thread_count_repeat_history_and_weights_bit_by_bit(threads, norm):
    before, runs = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    try:
        for _ in range(2):
            train, val, _ = mnist_loaders(data=bundled_mnist(), limit=1_000)
            set_seed(3)
            model = BatchNormNet(norm=norm)
            runs.append((fit(model, train, val, epochs=2), model.state_dict()))
    finally:
        torch.set_num_threads(before)
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])


def test_another_seed_gives_another_run():
    histories = []
    for seed in (0, 1):
        set_seed(seed)
        histories.append(fit(MLP([6, 16, 3]), batches(), epochs=1))
    assert histories[0] != histories[1]


LONG_RUN = """
import resource
import torch
from bnkit.models import MLP
from bnkit.training import EarlyStopping, fit

def peak(history):
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

peaks, batch = [], (torch.randn(256, 64), torch.zeros(256).long())
model, stop = MLP([64, 64, 10], norm="bnkit"), EarlyStopping(patience=200)
fit(model, [batch] * 10, [batch], epochs=200, early_stopping=stop, on_epoch=peak)
assert len(peaks) == 200
print(peaks[-1] / peaks[19])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_memory_stays_flat_over_two_hundred_epochs():
    done = subprocess.run([sys.executable, "-c", LONG_RUN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 1 <= float(done.stdout) < 1.05


def test_no_tensor_outlives_its_epoch():
    def count(history):
        gc.collect()
        counts.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))

    counts = []
    options = {"early_stopping": EarlyStopping(patience=9), "on_epoch": count}
    fit(net(norm="bnkit"), batches(), batches(), epochs=6, **options)
    assert len(set(counts[1:])) == 1


def test_fit_reaches_ninety_percent_on_a_few_digits():
    train, val, _ = mnist_loaders(data=bundled_mnist(), limit=4_000)
    set_seed(0)
    history = fit(BatchNormNet(), train, val, epochs=3)
    assert history.val_accuracy[-1] > 0.9


def test_fit_takes_a_dataloader():
    x, y = (torch.cat(parts) for parts in zip(*batches(), strict=True))
    history = fit(net(), DataLoader(TensorDataset(x, y), batch_size=10, shuffle=True), epochs=2)
    assert len(history.train_loss) == 2 and history.val_loss == []


@pytest.mark.parametrize(
    ("batch", "got"),
    [
        ({"x": torch.zeros(2, 6), "y": torch.zeros(2).long()}, "dict of (x: Tensor, y: Tensor)"),
        ((torch.zeros(2, 6), torch.ones(2), torch.zeros(2)), "tuple of (Tensor, Tensor, Tensor)"),
        (((torch.zeros(2, 6), torch.ones(2)), torch.zeros(2)), "tuple of (tuple, Tensor)"),
        (torch.zeros(2, 6), "Tensor of ()"),
    ],
)
def test_other_batches_than_pairs_of_tensors_are_refused_in_one_line(batch, got):
    message = "expected batches of two tensors (input, target), got "
    for run in (lambda: fit(net(), [batch]), lambda: evaluate(net(), [batch])):
        with pytest.raises(ValueError) as error:
            run()
        assert str(error.value) == message + got


class Stream(IterableDataset):
    """Samples whose number nobody knows; the DataLoader's `len` raises."""

    def __iter__(self):
        for x, y in batches():
            yield from zip(x, y, strict=True)


class Unsure(DataLoader):
    def __len__(self):
        raise RuntimeError("a stream has no length")


def test_fit_takes_a_loader_whose_length_is_not_known():
    loader = DataLoader(Stream(), batch_size=10)
    with pytest.raises(TypeError):
        len(loader)
    history = fit(net(), loader, loader, epochs=2)
    assert len(history.val_loss) == 2 and fit(net(), loader).train_loss[0] > 0
    loader.__class__ = Unsure
    assert len(fit(net(), loader, loader, epochs=2).val_loss) == 2
    generated = fit(net(), (batch for batch in batches()), epochs=1)
    assert len(generated.train_loss) == 1


def test_fit_trains_in_training_mode_from_any_mode():
    model = net().eval()
    fit(model, batches(), batches(), epochs=1)
    assert model[1].num_batches_tracked == 3


def test_fit_keeps_frozen_layers_frozen():
    model = net()
    model[1].eval()
    before = copy.deepcopy(model[1].state_dict())
    fit(model, batches(), batches(), epochs=2, on_epoch=lambda history: model.train())
    assert model[1].num_batches_tracked == 0
    assert model[1].running_mean.equal(before["running_mean"])
    assert not model[1].weight.equal(before["weight"])


def test_parts_that_train_in_a_model_that_evaluates_are_all_that_trains():
    model = net().eval()
    model[2].train()
    fit(model, batches(), batches(), epochs=2)
    assert model[1].num_batches_tracked == 0 and model[2].training and not model.training


def test_a_loss_may_be_a_tensor_of_one_number():
    def loss_fn(output, target):
        return F.cross_entropy(output, target).reshape(1)

    assert fit(net(), batches(), batches(), epochs=1, loss_fn=loss_fn).val_loss[0] > 0


def test_fit_stops_early_and_restores_the_best_epoch():
    model, history, weights = scripted([0.5, 0.3, 0.4, 0.4, 0.4, 0.1])
    assert history.stopped_epoch == 5 and history.best_epoch == 2
    assert history.val_loss == pytest.approx([0.5, 0.3, 0.4, 0.4, 0.4])
    assert same(model.state_dict(), weights[1]) and not same(model.state_dict(), weights[4])


def test_fit_restores_the_best_epoch_when_epochs_run_out():
    model, history, weights = scripted([0.5, 0.3, 0.4])
    assert history.stopped_epoch is None and same(model.state_dict(), weights[1])


def test_fit_can_keep_the_last_weights():
    model, _, weights = scripted([0.5, 0.3, 0.4], restore_best=False)
    assert same(model.state_dict(), weights[2])


def test_fit_applies_delta():
    model, history, weights = scripted([0.5, 0.45, 0.44, 0.43], delta=0.1)
    assert history.stopped_epoch == 4 and history.best_epoch == 1
    assert same(model.state_dict(), weights[0])


def test_fit_never_takes_nan_for_the_best():
    model, history, weights = scripted([0.5, math.nan, math.nan, math.nan])
    assert history.stopped_epoch == 4 and same(model.state_dict(), weights[0])


def test_fit_without_any_finite_loss_keeps_the_last_weights():
    model, history, weights = scripted([math.nan] * 3)
    assert history.best_epoch is None and same(model.state_dict(), weights[2])


def test_fit_takes_an_optimizer():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(model, batches(), epochs=1, optimizer=optimizer)
    assert len(optimizer.state) == len(list(model.parameters()))


def test_fit_takes_a_recipe_for_an_optimizer():
    made = []

    def make(parameters):
        made.append(torch.optim.RMSprop(parameters, lr=0.01))
        return made[0]

    fit(net(), batches(), epochs=1, optimizer=make)
    assert len(made) == 1 and made[0].state


def test_fit_trains_what_the_optimizer_holds_and_no_more():
    model = net()
    before = copy.deepcopy(model.state_dict())
    fit(model, batches(), epochs=1, optimizer=torch.optim.SGD(model[1].parameters(), lr=0.1))
    assert model[0].weight.equal(before["0.weight"])
    assert not model[1].weight.equal(before["1.weight"])


def test_fit_refuses_the_optimizer_of_another_model():
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="holds no parameter of this model"):
        fit(net(), batches(), epochs=1, optimizer=optimizer)


def test_fit_takes_another_loss():
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    loader = [(x, x.sum(1, keepdim=True))]
    set_seed(0)
    history = fit(nn.Linear(2, 1), loader, loader, epochs=200, lr=0.05, loss_fn=nn.MSELoss())
    assert history.val_loss[-1] < 1e-2 and math.isnan(history.val_accuracy[-1])


@pytest.mark.parametrize("empty", [[], BatchLoader(torch.zeros(0, 6), torch.zeros(0).long())])
def test_fit_refuses_empty_loaders_by_name(empty):
    with pytest.raises(ValueError, match="a train_loader with at least one batch, got an empty"):
        fit(net(), empty)
    with pytest.raises(ValueError, match="a val_loader with at least one batch, got an empty"):
        fit(net(), batches(), empty)


def test_fit_refuses_a_loader_that_turns_out_empty():
    with pytest.raises(ValueError, match="at least one sample, got an empty one"):
        fit(net(), iter([]), epochs=1)


def test_fit_refuses_early_stopping_without_validation():
    with pytest.raises(ValueError, match="early_stopping needs a val_loader"):
        fit(net(), batches(), early_stopping=EarlyStopping())


@pytest.mark.parametrize("patience", [1, 9])
def test_fit_refuses_an_early_stopping_that_has_seen_a_run(patience):
    stop, other = EarlyStopping(patience), net()
    fit(net(), batches(), batches(), epochs=2, lr=1e-3, early_stopping=stop)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="of another run: make one for each"):
        fit(other, batches(), batches(), early_stopping=stop)
    assert same(other.state_dict(), before)


@pytest.mark.parametrize("monitor", ["val_accuracy", "train_loss", len])
def test_another_quantity_than_the_validation_loss_decides(monitor):
    model, weights, counted = net(), [], iter([0.1, 0.4, 0.3, 0.2, 0.9])
    monitor = (lambda model: next(counted)) if callable(monitor) else monitor
    stop = EarlyStopping(2, mode="min" if monitor == "train_loss" else "max")
    history = fit(
        model,
        batches(),
        None if monitor == "train_loss" else batches(),
        epochs=5,
        lr=1e-3 if monitor == "train_loss" else 0.3,
        early_stopping=stop,
        monitor=monitor,
        on_epoch=lambda _: weights.append(copy.deepcopy(model.state_dict())),
    )
    seen = [0.1, 0.4, 0.3, 0.2] if callable(monitor) else getattr(history, monitor)
    best = min(seen) if monitor == "train_loss" else max(seen)
    assert stop.best_loss == best and history.best_epoch == seen.index(best) + 1
    assert same(model.state_dict(), weights[seen.index(best)])
    assert history.stopped_epoch == (4 if callable(monitor) else history.stopped_epoch)


@pytest.mark.parametrize(
    ("monitor", "mode", "message"),
    [
        ("f1", "max", "monitor to be a function or one of train_loss, .*, got 'f1'"),
        (3, "max", "got 3"),
        ("val_accuracy", "min", "mode='max' to watch val_accuracy, got 'min'"),
        ("val_loss", "max", "mode='min' to watch val_loss, got 'max'"),
        ("train_loss", "max", "mode='min' to watch train_loss, got 'max'"),
        ("train_loss", None, "monitor needs early_stopping, got None with train_loss"),
    ],
)
def test_a_monitor_that_cannot_decide_is_refused(monitor, mode, message):
    stop = mode and EarlyStopping(mode=mode)
    with pytest.raises(ValueError, match=message):
        fit(net(), batches(), batches(), early_stopping=stop, monitor=monitor)


def test_fit_refuses_negative_epochs():
    with pytest.raises(ValueError, match="epochs of at least 0, got -1"):
        fit(net(), batches(), epochs=-1)


def test_no_epochs_change_nothing():
    model = net()
    before = copy.deepcopy(model.state_dict())
    assert fit(model, batches(), epochs=0).train_loss == [] and same(model.state_dict(), before)


class Interrupted(list):
    """Batches that are interrupted in the middle of a given epoch."""

    def __init__(self, items, epoch):
        super().__init__(items)
        self.left = epoch

    def __iter__(self):
        self.left -= 1
        for i, batch in enumerate(super().__iter__()):
            if self.left == 0 and i == 1:
                raise KeyboardInterrupt
            yield batch


def test_an_interrupt_returns_the_history_so_far():
    history = fit(net(), Interrupted(batches(), epoch=3), batches(), epochs=9)
    assert history.interrupted and len(history.train_loss) == len(history.val_loss) == 2


def test_an_interrupt_brings_the_best_weights_back():
    model, stop, weights = net(), EarlyStopping(patience=9), []
    history = fit(
        model,
        Interrupted(batches(), epoch=3),
        batches(),
        epochs=9,
        early_stopping=stop,
        on_epoch=lambda history: weights.append(copy.deepcopy(model.state_dict())),
    )
    assert history.interrupted and same(model.state_dict(), weights[history.best_epoch - 1])


def test_progress_is_quiet_where_nobody_watches(capfd, monkeypatch):
    monkeypatch.setenv("CI", "true")
    fit(net(), batches(), epochs=2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, True),
        ({"CI": "1"}, False),
        ({"CI": "false"}, True),
        ({"BNKIT_WIDGETS": "baked"}, False),
        ({"BNKIT_WIDGETS": "live", "CI": "1"}, True),
    ],
)
def test_progress_on_a_terminal_depends_on_the_environment(capsys, monkeypatch, variables, shown):
    for name in ("CI", "BNKIT_WIDGETS", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    fit(net(), batches(), epochs=2)
    assert ("2/2" in capsys.readouterr().err) == shown


@pytest.mark.parametrize("progress", [True, False])
def test_progress_can_be_asked_for(capsys, progress):
    fit(net(), batches(), epochs=2, progress=progress)
    assert ("2/2" in capsys.readouterr().err) == progress


def test_a_trained_model_can_be_copied():
    model = net(norm="bnkit")
    fit(model, batches(), epochs=1)
    assert same(copy.deepcopy(model).state_dict(), model.state_dict())


def test_default_optimizer_falls_back_where_it_cannot_be_fused(monkeypatch):
    adam, asked = torch.optim.Adam, []

    def unfused(parameters, lr, fused=False):
        asked.append(fused)
        if fused:
            raise RuntimeError("no fused kernel here")
        return adam(parameters, lr=lr)

    monkeypatch.setattr(torch.optim, "Adam", unfused)
    fit(net(), batches(), epochs=1)
    assert asked == [True, False]
