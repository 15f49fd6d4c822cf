import errno
import os
import re
import subprocess
import sys

import pytest
import torch
from fake_mnist import fake_official, write  # noqa: F401
from torch import nn

from bnkit import cli, models, reference
from bnkit.data import bundled_mnist
from bnkit.models import BatchNormNet, load_weights
from bnkit.training import loop

EPOCH = re.compile(r"Epoch (\d+), Train Loss: \d+\.\d{4}, Val Loss: (\d+\.\d{4}|nan)")


@pytest.fixture
def few_digits(monkeypatch):
    """Train on 600 of the bundled digits."""
    bundled = bundled_mnist()
    few = type(bundled)(
        bundled.train_images[:600],
        bundled.train_labels[:600],
        bundled.test_images,
        bundled.test_labels,
        "bundled",
    )
    monkeypatch.setattr(reference, "load_mnist", lambda root, verbose: few)


def train(capsys, *flags):
    code = cli.main(["train", *flags])
    return code, capsys.readouterr().out.splitlines()


def refusal(capsys, *flags):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", *flags])
    captured = capsys.readouterr()
    assert exit_.value.code == 2 and captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_defaults_are_those_of_the_reference_example():
    options = vars(cli.parse(["train"]))
    expected = {
        "epochs": 20,
        "batch_size": 64,
        "lr": 1e-3,
        "optimizer": "adam",
        "patience": 3,
        "delta": 1e-3,
        "monitor": "val_loss",
        "val_fraction": 0.2,
        "norm": "torch",
        "seed": 0,
        "data": None,
        "save": None,
        "checkpoint": None,
        "resume": None,
        "sync_bn": False,
        "restore": True,
    }
    assert {name: options[name] for name in expected} == expected


@pytest.mark.usefixtures("few_digits")
def test_output_is_one_line_an_epoch_then_the_restored_model_and_its_accuracy(capsys):
    code, lines = train(capsys, "--epochs", "2")
    assert code == 0
    assert lines[0] == "MNIST (bundled): 480 train, 120 validation, 1,000 test"
    assert [EPOCH.fullmatch(line)[1] for line in lines[1:3]] == ["1", "2"]
    assert lines[3] == "Restored best model from early stopping."
    assert re.fullmatch(r"Test Accuracy: \d\d\.\d\d%", lines[4]) and len(lines) == 5


@pytest.mark.usefixtures("few_digits")
def test_early_stopping_is_announced(capsys):
    _, lines = train(capsys, "--patience", "1", "--delta", "10")
    assert [line.split(",")[0] for line in lines[1:-3]] == ["Epoch 1", "Epoch 2"]
    assert lines[-3:-1] == ["Early stopping triggered!", "Restored best model from early stopping."]


@pytest.mark.usefixtures("few_digits")
def test_the_last_weights_can_be_kept(capsys):
    _, lines = train(capsys, "--epochs", "1", "--no-restore")
    assert not any("Restored" in line for line in lines)


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("norm", ["torch", "bnkit", "none", "layer"])
def test_every_norm_trains(capsys, norm):
    code, lines = train(capsys, "--epochs", "1", "--norm", norm)
    assert code == 0 and lines[-1].startswith("Test Accuracy: ")


@pytest.mark.usefixtures("few_digits")
def test_a_seed_repeats_a_run(capsys):
    runs = [train(capsys, "--epochs", "1", "--seed", seed)[1] for seed in ("1", "1", "2")]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.usefixtures("few_digits")
def test_flags_set_the_split_and_the_batch_size(capsys, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        reference,
        "fit",
        lambda model, train, val, **options: seen.update(options, train=train, val=val),
    )
    with pytest.raises(AttributeError):  # the replaced fit returns no history
        train(capsys, "--val-fraction", "0.5", "--batch-size", "32", "--lr", "0.01")
    assert seen["train"].num_samples == seen["val"].num_samples == 300
    assert seen["train"].batch_size == 32 and seen["lr"] == 0.01


@pytest.mark.usefixtures("few_digits")
def test_the_optimizer_can_be_sgd(capsys):
    adam, sgd = (train(capsys, "--epochs", "1", "--optimizer", o)[1] for o in ("adam", "sgd"))
    assert adam[0] == sgd[0] and adam[1] != sgd[1]


@pytest.mark.usefixtures("few_digits")
def test_save_writes_the_weights_and_nothing_else(capsys, tmp_path):
    path = tmp_path / "net.pt"
    _, lines = train(capsys, "--epochs", "1", "--save", str(path))
    assert os.listdir(tmp_path) == ["net.pt"]
    assert lines[-1] == f"Saved the weights to {path}."
    net = load_weights(BatchNormNet(), path)
    assert net.bn1.num_batches_tracked == 8
    assert torch.load(path, weights_only=True).keys() == net.state_dict().keys()


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("flag", ["--save", "--checkpoint"])
def test_a_full_disk_gets_one_line_and_keeps_the_previous_file(capsys, monkeypatch, tmp_path, flag):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file.pt"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as exit_:
        train(capsys, "--epochs", "1", flag, str(path))
    assert exit_.value.code == 2 and path.read_bytes() == b"old"
    reason = f"{os.strerror(errno.ENOSPC)}; the previous file is kept"
    expected = f"bnkit train: error: cannot write {str(path)!r}: {reason}\n"
    assert capsys.readouterr().err == expected and os.listdir(tmp_path) == ["file.pt"]


@pytest.mark.parametrize("flag", ["--save", "--checkpoint"])
def test_a_read_only_folder_is_refused_before_the_training(capsys, monkeypatch, tmp_path, flag):
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    message = refusal(capsys, f"{flag}={tmp_path / 'file.pt'}")
    assert f"argument {flag}: cannot write to the folder" in message


@pytest.mark.usefixtures("few_digits")
def test_resume_prints_and_saves_what_the_uninterrupted_run_does(capsys, tmp_path):
    run, *nets = (tmp_path / name for name in ("run.pt", "whole.pt", "resumed.pt"))
    whole = train(capsys, "--epochs", "3", "--save", str(nets[0]))[1]
    train(capsys, "--epochs", "1", "--checkpoint", str(run))
    resumed = train(capsys, "--epochs", "3", "--resume", str(run), "--save", str(nets[1]))[1]
    assert resumed[1:3] == whole[2:4] and resumed[-2] == whole[-2]
    states = [torch.load(net, weights_only=True) for net in nets]
    assert all(states[1][name].equal(value) for name, value in states[0].items())


@pytest.mark.usefixtures("few_digits")
def test_resume_with_other_flags_gets_one_line(capsys, tmp_path):
    path = str(tmp_path / "run.pt")
    train(capsys, "--epochs", "1", "--checkpoint", path)
    with pytest.raises(SystemExit):
        train(capsys, "--epochs", "1", "--resume", path, "--lr", "0.1")
    assert capsys.readouterr().err == (
        "bnkit train: error: the checkpoint was written with lr=0.001, got 0.1\n"
    )


@pytest.mark.usefixtures("few_digits")
def test_resume_runs_no_code_of_another_file(capsys, tmp_path):
    path = tmp_path / "evil.pt"
    torch.save(nn.Linear(1, 1), path)
    with pytest.raises(SystemExit):
        train(capsys, "--epochs", "1", "--resume", str(path))
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "weights_only=True" in error


@pytest.mark.usefixtures("few_digits")
def test_one_process_may_ask_for_synchronized_statistics(capsys):
    plain, synchronized = (train(capsys, "--epochs", "1", *flag)[1] for flag in ([], ["--sync-bn"]))
    assert len(synchronized) == len(plain) and EPOCH.fullmatch(synchronized[1])


@pytest.mark.usefixtures("few_digits")
def test_an_interrupt_still_saves_and_tests_the_best_so_far(capsys, monkeypatch):
    def interrupt(history):
        raise KeyboardInterrupt

    monkeypatch.setattr(reference, "_print_epoch", interrupt)
    code, lines = train(capsys)
    assert code == 130 and "Interrupted after epoch 1." in lines
    assert lines[-1].startswith("Test Accuracy: ")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--epochs", "0"),
        ("--epochs", "2.5"),
        ("--batch-size", "1"),
        ("--batch-size", "many"),
        ("--lr", "0"),
        ("--lr", "-1e-3"),
        ("--lr", "nan"),
        ("--lr", "inf"),
        ("--patience", "0"),
        ("--delta", "-0.1"),
        ("--monitor", "f1"),
        ("--val-fraction", "1"),
        ("--val-fraction", "0"),
        ("--norm", "batch"),
        ("--optimizer", "adagrad"),
        ("--seed", "-1"),
        ("--seed", "x"),
        ("--data", "no/such/folder"),
        ("--save", "no/such/folder/net.pt"),
        ("--save", "."),
        ("--checkpoint", "no/such/folder/run.pt"),
        ("--resume", "no/such/run.pt"),
    ],
)
def test_a_bad_value_gets_one_line_that_names_its_flag(capsys, flag, value):
    message = refusal(capsys, f"{flag}={value}")
    assert message.startswith(f"bnkit train: error: argument {flag}: ")


def test_an_unknown_flag_gets_one_line(capsys):
    assert "--epoch" in refusal(capsys, "--epoch", "3")


@pytest.mark.usefixtures("fake_official")
def test_a_folder_without_mnist_names_the_flag(capsys, tmp_path):
    message = refusal(capsys, "--data", str(tmp_path))
    assert "argument --data: no MNIST files in" in message and str(tmp_path) in message


@pytest.mark.usefixtures("fake_official")
def test_an_incomplete_folder_names_the_flag(capsys, tmp_path):
    (write(tmp_path, gzipped=False) / "train-labels-idx1-ubyte").unlink()
    message = refusal(capsys, "--data", str(tmp_path))
    assert "argument --data: " in message and "lacks train-labels-idx1-ubyte" in message


@pytest.mark.usefixtures("fake_official")
def test_a_corrupt_file_gets_one_line(capsys, tmp_path):
    (write(tmp_path, gzipped=False) / "train-labels-idx1-ubyte").write_bytes(b"damaged")
    assert re.search(
        r"corrupt file .*train-labels.*MD5 \w+, expected", refusal(capsys, "--data", str(tmp_path))
    )


def test_python_m_bnkit_is_the_command():
    run = [sys.executable, "-m", "bnkit"]
    done = subprocess.run([*run, "train", "--lr", "fast"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "bnkit train: error: argument --lr: expected a number above 0, got 'fast'\n"
    )


def test_no_command_gets_one_line(capsys):
    with pytest.raises(SystemExit):
        cli.main([])
    assert capsys.readouterr().err == (
        "bnkit: error: the following arguments are required: command\n"
    )


def test_the_norms_and_quantities_of_the_flags_are_the_librarys():
    assert tuple(models.NORMS) == cli.NORMS
    assert tuple(loop.MONITORED) == cli.MONITORED


@pytest.mark.usefixtures("few_digits")
def test_early_stopping_may_watch_the_accuracy(capsys, tmp_path):
    path, flags = str(tmp_path / "run.pt"), ("--patience", "1", "--delta", "0.9", "--epochs", "9")
    watched = ("--monitor", "val_accuracy", "--checkpoint", path)
    code, lines = train(capsys, *flags, *watched)
    assert code == 0 and "Early stopping triggered!" in lines
    with pytest.raises(SystemExit):
        train(capsys, *flags, "--resume", path)
    assert "written with monitor=val_accuracy (max), got None" in capsys.readouterr().err


def python(*words, **environment):
    run = [sys.executable, *words]
    return subprocess.run(run, capture_output=True, text=True, env={**os.environ, **environment})


def test_flags_are_read_without_torch():
    code = "import sys; from bnkit import cli; cli.parse(['train']); print('torch' in sys.modules)"
    assert python("-c", code).stdout == "False\n"


def test_an_error_is_told_where_rank_is_set_by_others_than_torchrun():
    done = python("-m", "bnkit", "train", "--epochs", "0", RANK="1")
    assert done.returncode == 2 and "argument --epochs" in done.stderr


@pytest.mark.usefixtures("few_digits")
def test_a_loss_that_is_no_number_is_told_and_nothing_is_saved(capsys, tmp_path):
    path = tmp_path / "net.pt"
    flags = ("--optimizer", "sgd", "--lr", "1e30", "--epochs", "2", "--save", str(path))
    code, lines = train(capsys, *flags)
    assert code == 1 and not path.exists()
    assert any("no number any more" in line for line in lines)
    assert lines[-1] == "Saved no weights: none of a finite loss are left."


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("flag", ["--save", "--checkpoint"])
def test_a_full_disk_comes_after_what_was_computed(capsys, monkeypatch, tmp_path, flag):
    def full(descriptor):
        if os.path.exists(tmp_path / "begun"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(
        reference, "_print_epoch", lambda history: (print("epoch"), (tmp_path / "begun").touch())
    )
    with pytest.raises(SystemExit):
        train(capsys, "--epochs", "1", flag, str(tmp_path / "file.pt"))
    out = capsys.readouterr().out
    assert ("Test Accuracy" if flag == "--save" else "epoch") in out


@pytest.mark.parametrize("other", ["--checkpoint", "--resume"])
def test_weights_are_not_saved_over_a_checkpoint(capsys, tmp_path, other):
    path = tmp_path / "run.pt"
    path.touch()
    message = refusal(capsys, f"--save={path}", f"{other}={tmp_path}/./run.pt")
    assert f"argument --save: expected another file than {other}" in message


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("part", ["model", "optimizer", "history", "generators", "random"])
@pytest.mark.parametrize("left", [None, {}, []])
def test_a_checkpoint_that_lacks_a_part_gets_one_line(capsys, tmp_path, part, left):
    path = tmp_path / "run.pt"
    train(capsys, "--epochs", "1", "--checkpoint", str(path))
    state = torch.load(path, weights_only=True)
    torch.save(state | {part: left}, path)
    with pytest.raises(SystemExit) as exit_:
        train(capsys, "--epochs", "2", "--resume", str(path))
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and error.count("\n") == 1
    assert "checkpoint" in error


@pytest.mark.usefixtures("few_digits")
def test_a_checkpoint_of_another_number_of_processes_is_refused(capsys, tmp_path):
    path = tmp_path / "run.pt"
    train(capsys, "--epochs", "1", "--checkpoint", str(path))
    state = torch.load(path, weights_only=True)
    torch.save(state | {"random": state["random"] * 2}, path)
    with pytest.raises(SystemExit):
        train(capsys, "--epochs", "2", "--resume", str(path))
    assert "written by 2 processes, got 1" in capsys.readouterr().err


def test_an_interrupt_while_torch_is_imported_ends_quietly(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reference, "run", interrupted)
    assert cli.main(["train"]) == 130


def test_a_folder_that_may_not_be_entered_gets_one_line(capsys, monkeypatch):
    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", closed)
    for flag in ("--save", "--checkpoint", "--resume", "--data"):
        assert "no permission" in refusal(capsys, f"{flag}=closed/file.pt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("flag", ["--save", "--checkpoint"])
def test_what_is_no_file_is_not_replaced_by_one(capsys, tmp_path, flag):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert f"argument {flag}: expected a file" in refusal(capsys, f"{flag}={pipe}")
    assert pipe.is_fifo()


@pytest.mark.parametrize("flag", ["--save", "--checkpoint"])
def test_a_name_that_is_too_long_is_refused_before_the_training(capsys, tmp_path, flag):
    message = refusal(capsys, f"{flag}={tmp_path / ('x' * 300)}")
    assert message.startswith(f"bnkit train: error: argument {flag}: ")


SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except BaseException:
    pass
raise RuntimeError("the import went on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT")
def test_an_interrupt_that_an_import_swallows_ends_the_process_quietly(tmp_path):
    (tmp_path / "torch.py").write_text(SWALLOWS)
    done = python("-m", "bnkit", "train", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
