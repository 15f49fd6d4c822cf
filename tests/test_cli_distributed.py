"""``torchrun -m bnkit train``: the command line in two processes."""

import os
import re
import subprocess
import sys
import time

import pytest
import torch

LOOPBACK = {"linux": {"GLOO_SOCKET_IFNAME": "lo"}, "darwin": {"GLOO_SOCKET_IFNAME": "lo0"}}
BUNDLED = os.environ | {"BNKIT_DATA": "bundled", "OMP_NUM_THREADS": "1"}
BUNDLED |= LOOPBACK.get(sys.platform, {"USE_LIBUV": "0"})  # PyTorch's Windows builds lack libuv
ALONE = [sys.executable, "-u", "-m", "bnkit"]
TORCHRUN = [sys.executable, "-u", "-m", "torch.distributed.run", "--standalone"]
TORCHRUN += ["--local-addr=127.0.0.1"]
PAIR = [*TORCHRUN, "--nproc-per-node=2"]
TRAIN = ["train", "--epochs=3", "--val-fraction=0.8", "--batch-size=62"]
TRAIN += ["--optimizer=sgd", "--lr=0.1"]
TRAIN_PAIR = [*TRAIN, "--sync-bn"]  # 1,800 samples: the last batch has 2, so one process has none

DIE = """
import os, signal, sys
from bnkit import cli
from bnkit.data import loader as batch_loader

iterate = batch_loader.BatchLoader.__iter__

def dying(loader):
    for i, batch in enumerate(iterate(loader)):
        dying.epoch += loader.shuffle and i == 0
        if dying.epoch == 3 and i == 5 and loader.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

dying.epoch = 0
batch_loader.BatchLoader.__iter__ = dying
sys.exit(cli.main())
"""


def run(*command):
    return subprocess.run(command, env=BUNDLED, capture_output=True, text=True, timeout=120)


def weights(path):
    return torch.load(path, weights_only=True)


def losses(lines):
    return [float(number) for line in lines for number in re.findall(r"\d+\.\d+", line)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def alone(folder):
    done = run(*ALONE, *TRAIN, f"--save={folder / 'net.pt'}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), weights(folder / "net.pt")


@pytest.fixture(scope="module")
def pair(folder):
    done = run(*PAIR, "-m", "bnkit", *TRAIN_PAIR, f"--save={folder / 'net.pt'}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), weights(folder / "net.pt")


def test_two_processes_print_the_lines_of_one_and_reach_its_numbers(alone, pair):
    epochs = [line for line in pair[0] if line.startswith("Epoch")]
    assert len(pair[0]) == len(alone[0]) and len(epochs) == 3
    assert losses(epochs) == pytest.approx(losses(alone[0][2:5]), abs=2e-4)
    assert losses(pair[0][-1:]) == pytest.approx(losses(alone[0][-1:]), abs=0.2)
    torch.testing.assert_close(pair[1], alone[1], rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_after_the_kill_of_one_process_all_end_and_a_resumed_run_is_the_same(folder, pair):
    (folder / "die.py").write_text(DIE)
    checkpoint, start = folder / "run.pt", time.monotonic()
    done = run(*PAIR, folder / "die.py", *TRAIN_PAIR, f"--checkpoint={checkpoint}")
    assert done.returncode != 0 and "SIGKILL" in done.stderr
    assert time.monotonic() - start < 60
    assert len(weights(checkpoint)["history"]["train_loss"]) == 2
    resume = f"--resume={checkpoint}", f"--save={folder / 'resumed.pt'}"
    again = run(*PAIR, "-m", "bnkit", *TRAIN_PAIR, *resume)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[2] == pair[0][4]  # epoch 3, the first that was left to do
    resumed = weights(folder / "resumed.pt")
    assert all(resumed[name].equal(value) for name, value in pair[1].items())


def test_an_error_is_told_once():
    done = run(*PAIR, "-m", "bnkit", "train", "--lr=0")
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.count("bnkit train: error: argument --lr: expected a number") == 1
