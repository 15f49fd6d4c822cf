import copy
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from bnkit.data.loader import BatchLoader
from bnkit.models import MLP, BatchNormNet
from bnkit.training import EarlyStopping, fit, set_seed
from bnkit.training.checkpoint import CheckpointError

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = (X @ torch.randn(6, 3, generator=torch.Generator().manual_seed(1))).argmax(1)


class KilledError(Exception):
    pass


class Noisy(nn.Module):
    """Draws from every random generator that `set_seed` seeds."""

    def forward(self, x):
        if not self.training:
            return x
        return x * random.random() + 0.1 * np.random.rand() + 0.1 * torch.rand_like(x)


class Dying:
    """A loader that fails in the middle of a given epoch."""

    def __init__(self, loader, epoch):
        self.loader, self.left = loader, epoch
        self.generator, self.sampler = loader.generator, getattr(loader, "sampler", None)

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        self.left -= 1
        for i, batch in enumerate(self.loader):
            if self.left == 0 and i == 1:
                raise KilledError
            yield batch


def global_order():
    return DataLoader(TensorDataset(X, Y), batch_size=12, shuffle=True)


def own_generator():
    generator = torch.Generator().manual_seed(3)
    return DataLoader(TensorDataset(X, Y), batch_size=12, shuffle=True, generator=generator)


def sampler_with_a_generator():
    data = TensorDataset(X, Y)
    sampler = RandomSampler(data, generator=torch.Generator().manual_seed(3))
    return DataLoader(data, batch_size=12, sampler=sampler)


def bnkits():
    return BatchLoader(X, Y, 12, shuffle=True, seed=3)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.02)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def train(make_loader, optimizer=adam, dies_in=None, seed=0, patience=2, mode="min", **options):
    """Train in what stands for a new process: model, loader and rule are made afresh."""
    set_seed(seed)
    model, loader = nn.Sequential(Noisy(), MLP([6, 16, 3])), make_loader()
    history = fit(
        model,
        Dying(loader, dies_in) if dies_in else loader,
        BatchLoader(X, Y),
        optimizer=optimizer,
        early_stopping=EarlyStopping(patience, mode=mode),
        **{"epochs": 6, **options},
    )
    return history, model.state_dict()


def same(state, other):
    return state.keys() == other.keys() and all(v.equal(other[k]) for k, v in state.items())


@pytest.mark.parametrize("optimizer", [adam, momentum])
@pytest.mark.parametrize("loader", [bnkits, own_generator, sampler_with_a_generator, global_order])
def test_a_run_that_died_in_mid_epoch_goes_on_as_if_it_had_not(tmp_path, loader, optimizer):
    path = tmp_path / "run.pt"
    history, weights = train(loader, optimizer)
    with pytest.raises(KilledError):
        train(loader, optimizer, dies_in=4, checkpoint=path)
    again, resumed = train(loader, optimizer, seed=99, resume=path)
    assert again == history and same(resumed, weights)


def test_a_run_that_died_in_its_first_epoch_has_a_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    history, weights = train(bnkits)
    with pytest.raises(KilledError):
        train(bnkits, dies_in=1, checkpoint=path)
    again, resumed = train(bnkits, seed=99, resume=path)
    assert again == history and same(resumed, weights)


def test_it_may_die_twice(tmp_path):
    path = tmp_path / "run.pt"
    history, weights = train(bnkits)
    with pytest.raises(KilledError):
        train(bnkits, dies_in=3, checkpoint=path)
    with pytest.raises(KilledError):
        train(bnkits, dies_in=2, checkpoint=path, resume=path)
    again, resumed = train(bnkits, resume=path)
    assert again == history and same(resumed, weights)


def test_a_run_that_had_stopped_early_stays_stopped(tmp_path):
    path = tmp_path / "run.pt"
    options = {"optimizer": lambda p: torch.optim.SGD(p, lr=1e-9), "patience": 1, "epochs": 50}
    history, weights = train(bnkits, checkpoint=path, **options)
    assert history.stopped_epoch
    again, resumed = train(bnkits, resume=path, **options)
    assert again == history and same(resumed, weights)


def test_more_epochs_can_follow(tmp_path):
    path = tmp_path / "run.pt"
    train(bnkits, epochs=3, patience=9, checkpoint=path)
    history, weights = train(bnkits, epochs=6, patience=9)
    again, resumed = train(bnkits, epochs=6, patience=9, resume=path)
    assert again == history and same(resumed, weights)


def test_the_best_weights_of_before_come_back(tmp_path):
    path = tmp_path / "run.pt"
    with pytest.raises(KilledError):
        train(bnkits, dies_in=3, checkpoint=path)
    kept = torch.load(path, weights_only=True)["early_stopping"]["best_model_state"]
    _, resumed = train(bnkits, seed=99, resume=path, epochs=2)
    assert same(resumed, kept)


def test_a_checkpoint_holds_tensors_and_plain_values_alone(tmp_path):
    path = tmp_path / "run.pt"
    train(own_generator, checkpoint=path, settings={"lr": 0.02})
    state = torch.load(path, weights_only=True)
    assert len(state["history"]["train_loss"]) > 1 and state["settings"] == {"lr": 0.02}
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_run_with_other_settings_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train(bnkits, epochs=1, checkpoint=path, settings={"lr": 0.02})
    with pytest.raises(CheckpointError, match=r"written with lr=0.02, got 0.1"):
        train(bnkits, resume=path, settings={"lr": 0.1})
    with pytest.raises(CheckpointError, match=r"written with lr=0.02, got None"):
        train(bnkits, resume=path)


def accuracy(model):
    return float(next(model.parameters()).detach().sum())


@pytest.mark.parametrize("monitor", ["val_accuracy", accuracy])
def test_a_resumed_run_watches_what_the_run_before_watched(tmp_path, monitor):
    path = tmp_path / "run.pt"

    def run(**options):
        return train(bnkits, patience=3, mode="max", **{"monitor": monitor, **options})

    whole = run()
    run(epochs=2, checkpoint=path)
    again = run(resume=path)
    assert again[0] == whole[0] and same(again[1], whole[1])
    name = getattr(monitor, "__qualname__", monitor)
    with pytest.raises(CheckpointError, match=rf"written with monitor={name} \(max\), got None"):
        train(bnkits, resume=path)
    with pytest.raises(CheckpointError, match=r"got .*<lambda> \(max\)"):
        run(resume=path, monitor=lambda model: 0)


@pytest.mark.parametrize("value", [math.nan, [math.nan], torch.ones(3), (1, {"a": None})])
def test_equal_settings_are_taken_for_equal(tmp_path, value):
    path = tmp_path / "run.pt"
    train(bnkits, epochs=1, checkpoint=path, settings={"a": value})
    assert train(bnkits, epochs=2, resume=path, settings={"a": copy.deepcopy(value)})
    with pytest.raises(CheckpointError, match="written with a="):
        train(bnkits, resume=path, settings={"a": torch.zeros(3)})


def test_a_run_with_another_kind_of_loader_or_rule_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    train(bnkits, epochs=1, checkpoint=path)
    with pytest.raises(CheckpointError, match="written with 1 seeded loaders, got 0"):
        train(global_order, resume=path)
    with pytest.raises(CheckpointError, match="with early_stopping, got a run without"):
        fit(nn.Sequential(Noisy(), MLP([6, 16, 3])), bnkits(), optimizer=adam, resume=path)


@pytest.mark.parametrize("content", [{"weight": torch.ones(1)}, [1, 2], nn.Linear(1, 1)])
def test_another_file_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        train(bnkits, resume=tmp_path / "other.pt")


def test_a_checkpoint_that_cannot_be_written_ends_the_run_before_the_first_epoch(tmp_path):
    epochs = []
    with pytest.raises(OSError, match="cannot write"):
        train(bnkits, checkpoint=tmp_path / "none" / "run.pt", on_epoch=epochs.append)
    assert not epochs


TRAIN = [sys.executable, "-u", "-m", "bnkit", "train", "--epochs=4", "--val-fraction=0.5"]
BUNDLED = os.environ | {"BNKIT_DATA": "bundled", "OMP_NUM_THREADS": "1"}


def run(*flags):
    done = subprocess.run([*TRAIN, *flags], env=BUNDLED, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_command_killed_in_mid_epoch_resumes_with_the_same_history_and_weights(tmp_path):
    checkpoint, saved = tmp_path / "run.pt", [tmp_path / "whole.pt", tmp_path / "resumed.pt"]
    whole = run(f"--save={saved[0]}")
    command = [*TRAIN, f"--checkpoint={checkpoint}"]
    with subprocess.Popen(command, env=BUNDLED, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("Epoch 2,"):
                process.kill()  # SIGKILL: nothing in the process can react
    assert process.returncode != 0
    resumed = run(f"--resume={checkpoint}", f"--save={saved[1]}")
    epochs = [line for line in resumed if line.startswith("Epoch")]
    assert len(epochs) in (2, 3)  # the line of epoch 2 came before its checkpoint
    assert epochs == [line for line in whole if line.startswith("Epoch")][-len(epochs) :]
    assert resumed[-2] == whole[-2]
    assert same(*(torch.load(path, weights_only=True) for path in saved))


def test_the_format_of_a_checkpoint_and_the_keys_of_a_model_stay_as_they_are(tmp_path):
    path = tmp_path / "run.pt"
    _, weights = train(bnkits, epochs=1, checkpoint=path, settings={"lr": 0.02})
    state = torch.load(path, weights_only=True)
    assert state["format"] == "bnkit checkpoint 1" and state["settings"] == {"lr": 0.02}
    assert list(state) == [
        *("format", "settings", "model", "optimizer", "history"),
        *("early_stopping", "generators", "random"),
    ]
    assert list(state["model"]) == list(weights)
    assert list(state["optimizer"]) == ["state", "param_groups"]
    assert list(state["history"]) == [
        *("train_loss", "val_loss", "val_accuracy"),
        *("stopped_epoch", "best_epoch", "interrupted"),
    ]
    names = ["best_loss", "counter", "best_model_state", "early_stop"]
    assert list(state["early_stopping"]) == names
    assert [sorted(rank) for rank in state["random"]] == [["numpy", "python", "torch"]]
    assert len(state["generators"]) == 1


def test_the_keys_of_the_reference_networks_weights_stay_as_they_are():
    batch_norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    linear = [f"{layer}.{name}" for layer in ("fc1", "fc2") for name in ("weight", "bias")]
    for norm in ("torch", "bnkit"):
        keys = [*linear[:2], *(f"bn1.{name}" for name in batch_norm), *linear[2:]]
        assert list(BatchNormNet(norm=norm).state_dict()) == keys


def numpy_rate(parameters):
    return torch.optim.SGD(parameters, lr=np.logspace(-3, -1, 3)[1], momentum=np.float32(0.5))


@pytest.mark.parametrize("optimizer", [None, numpy_rate])
def test_numbers_of_numpy_are_written_as_pythons(tmp_path, optimizer):
    path, options = tmp_path / "run.pt", {"lr": np.logspace(-3, -1, 3)[1]}
    options["settings"] = {"lr": options["lr"], "sizes": (np.int64(3), [np.bool_(True)])}
    history, weights = train(bnkits, optimizer, **options)
    with pytest.raises(KilledError):
        train(bnkits, optimizer, dies_in=3, checkpoint=path, **options)
    again, resumed = train(bnkits, optimizer, seed=99, resume=path, **options)
    assert again == history and same(resumed, weights)


class Stateful(torch.optim.SGD):
    """An optimizer whose state nobody could read back."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
        self.param_groups[0]["schedule"] = Stateful


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"settings": {"path": Path("run.pt")}}, "settings.path of PosixPath"),
        ({"settings": {"a": {"b": [1, len]}}}, "settings.a.b.1 of builtin_function_or_method"),
        ({"settings": {"rates": np.ones(2)}}, "settings.rates of ndarray"),
        ({"optimizer": Stateful}, "optimizer.param_groups.0.schedule of type"),
    ],
)
def test_what_cannot_be_read_back_is_refused_by_name_before_the_first_epoch(
    tmp_path, options, name
):
    path, epochs = tmp_path / "run.pt", []
    path.write_text("the checkpoint of before")
    with pytest.raises(CheckpointError, match=name):
        train(bnkits, checkpoint=path, on_epoch=epochs.append, **options)
    assert epochs == [] and path.read_text() == "the checkpoint of before"
    if "settings" in options:
        assert train(bnkits, epochs=1, **options)[0].train_loss


def test_another_model_or_optimizer_is_refused_in_one_line_that_says_what_differs(tmp_path):
    path = tmp_path / "run.pt"
    train(bnkits, epochs=1, checkpoint=path)
    with pytest.raises(CheckpointError, match="an optimizer of another kind") as error:
        train(bnkits, momentum, resume=path)
    assert "\n" not in str(error.value)
    stop = EarlyStopping(2)
    with pytest.raises(CheckpointError, match=r"Error\(s\) in loading .*size mismatch|Missing key"):
        fit(
            MLP([6, 9, 3]),
            bnkits(),
            BatchLoader(X, Y),
            optimizer=adam,
            early_stopping=stop,
            resume=path,
        )
