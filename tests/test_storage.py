import errno
import io
import os
import random
import subprocess
import sys

import pytest
import torch

from bnkit import storage
from bnkit.models import MLP, save_weights
from bnkit.storage import load_tensors, save_tensors, write_whole
from bnkit.training.history import History


def failing_open(code):
    """An ``open`` whose files take half of what is written and then fail."""

    class Half(io.FileIO):
        def write(self, content):
            super().write(content[: len(content) // 2])
            raise OSError(code, os.strerror(code))

    return Half


WRITERS = {
    "weights": lambda path: save_weights(MLP([2, 1]), path),
    "history": lambda path: History(train_loss=[1.0]).to_csv(path),
    "bytes": lambda path: write_whole(path, b"new content"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_failed_write_keeps_the_previous_file_and_leaves_nothing_else(
    tmp_path, monkeypatch, write, code
):
    path = tmp_path / "file"
    path.write_bytes(b"old content")
    monkeypatch.setattr(storage, "open", failing_open(code), raising=False)
    message = r"cannot write .*file'.*; the previous file is kept"
    with pytest.raises(OSError, match=message) as error:
        write(path)
    assert error.value.errno == code and "\n" not in str(error.value)
    assert path.read_bytes() == b"old content" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_write_replaces_the_previous_file(tmp_path, write):
    path = tmp_path / "file"
    path.write_bytes(b"old content")
    write(path)
    assert path.read_bytes() not in (b"", b"old content") and os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_keeps_the_previous_file(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot write .*nowhere.*No such file"):
        write_whole(tmp_path / "nowhere" / "file", b"")


FULL = """
import resource, sys
from bnkit.models import BatchNormNet, save_weights
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # as if the disk had so much left
try:
    save_weights(BatchNormNet(), sys.argv[1])
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_disk_without_room_keeps_the_previous_weights(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == 0
    assert done.stdout.startswith("cannot write ") and "the previous file is kept" in done.stdout
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["net.pt"]


def test_tensors_and_plain_values_come_back(tmp_path):
    state = {"a": torch.arange(3), "b": [1, 2.5, None, "x", (True, float("inf"))]}
    save_tensors(state, tmp_path / "state.pt")
    loaded = load_tensors(tmp_path / "state.pt")
    assert loaded["a"].equal(state["a"]) and loaded["b"] == state["b"]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, zipped):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = tmp_path / "evil.pt"
    torch.save({"weight": Evil()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"evil.pt'.*tensors and plain values") as error:
        load_tensors(path)
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 100, 900])
def test_a_damaged_file_is_refused(tmp_path, keep):
    path = tmp_path / "state.pt"
    save_tensors({"a": torch.ones(300)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="cannot load"):
        load_tensors(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "none.pt")


@pytest.mark.parametrize("seed", range(200))
def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path, seed):
    path, state = tmp_path / "weights.pt", {"a": torch.arange(6.0), "step": 3}
    storage.save_tensors(state, path)
    content, rng = bytearray(path.read_bytes()), random.Random(seed)
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    try:
        loaded = storage.load_tensors(path)
    except ValueError as error:
        assert "weights.pt" in str(error)
    else:
        assert loaded["a"].equal(state["a"]) and loaded["step"] == 3


def test_a_flipped_bit_of_a_number_is_called_damage(tmp_path):
    path = tmp_path / "weights.pt"
    storage.save_tensors({"a": torch.full((64,), 1.5)}, path)
    content = bytearray(path.read_bytes())
    at = content.index(torch.full((4,), 1.5).numpy().tobytes())
    content[at + 3] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a damaged file"):
        storage.load_tensors(path)


def test_a_flag_of_the_archives_directory_cannot_mislead_the_reader(tmp_path):
    path, state = tmp_path / "weights.pt", {"a": torch.arange(6.0), "b": torch.ones(3)}
    storage.save_tensors(state, path)
    content = bytearray(path.read_bytes())
    entries = [at for at in range(len(content)) if content[at : at + 4] == b"PK\x01\x02"]
    assert len(entries) > 5
    for at in entries:  # the bit that calls a file a folder; PyTorch then reads nothing of it
        content[at + 38] ^= 0x10
    path.write_bytes(content)
    loaded = storage.load_tensors(path)
    assert all(loaded[name].equal(value) for name, value in state.items())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for a right to make links")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path):
    write_whole(tmp_path / ("x" * 255), b"new")
    assert os.listdir(tmp_path) == ["x" * 255]


KILLED = """
import os, signal, sys
from bnkit.storage import write_whole
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_whole(sys.argv[1], b"half")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_process_left_is_swept_when_the_file_is_written_again(tmp_path):
    path = tmp_path / "run.pt"
    path.write_bytes(b"old")
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert path.read_bytes() == b"old" and len(os.listdir(tmp_path)) == 2
    write_whole(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["run.pt"]
