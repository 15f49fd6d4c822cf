import os
import socket
import subprocess
import sys

import pytest
import torch
from fake_mnist import SIZES, fake_official, mirror, write  # noqa: F401

from bnkit.data import CorruptDataError, bundled_mnist, load_mnist, mnist_loaders
from bnkit.data import files as mnist_files
from bnkit.data.files import OFFICIAL, cache_folder, find_mnist, read_bundled, read_idx

OFFICIAL_FILES = find_mnist(os.environ["BNKIT_DATA"]) if os.environ.get("BNKIT_DATA") else []
needs_official = pytest.mark.skipif(not OFFICIAL_FILES, reason="$BNKIT_DATA has no official MNIST")


@pytest.fixture(scope="module")
def bundled():
    return bundled_mnist()


def keys(images):
    return {image.numpy().tobytes() for image in images}


@needs_official
def test_bundled_digits_are_the_first_10000_of_the_official_training_set():
    ours = read_bundled()
    theirs = [read_idx(f, md5) for f, md5 in zip(OFFICIAL_FILES, OFFICIAL.values(), strict=True)]
    assert ours[0].equal(theirs[0][:10_000])
    assert ours[1].equal(theirs[1][:10_000])


@needs_official
def test_official_set_loads_with_its_shapes_and_dtypes():
    mnist = load_mnist()
    assert mnist.source == "official"
    assert mnist.train_images.shape == (60_000, 28, 28) and mnist.train_images.dtype == torch.uint8
    assert mnist.test_images.shape == (10_000, 28, 28)
    assert mnist.train_labels.dtype == mnist.test_labels.dtype == torch.int64


def test_bundled_split_uses_every_digit_once(bundled):
    images, labels = read_bundled()
    parts = torch.cat([bundled.test_images, bundled.train_images])
    assert sorted(i.numpy().tobytes() for i in parts) == sorted(i.numpy().tobytes() for i in images)
    assert len(bundled.test_images) == 1_000 and len(bundled.train_images) == 9_000
    assert keys(bundled.test_images).isdisjoint(keys(bundled.train_images))
    assert torch.cat([bundled.test_labels, bundled.train_labels]).sum() == labels.sum()


def test_bundled_split_is_the_same_everywhere(bundled):
    assert bundled.test_labels[:12].tolist() == [4, 6, 6, 4, 9, 3, 8, 1, 4, 1, 7, 7]


def test_bundled_images_keep_their_labels(bundled):
    images, labels = read_bundled()
    label_of = {
        image.numpy().tobytes(): label for image, label in zip(images, labels.tolist(), strict=True)
    }
    assert [label_of[i.numpy().tobytes()] for i in bundled.test_images] == (
        bundled.test_labels.tolist()
    )


@pytest.mark.usefixtures("fake_official")
class TestLoadMnist:
    def test_official_files_load_without_a_word(self, tmp_path, capsys):
        mnist = load_mnist(write(tmp_path / "data", gzipped=True))
        assert mnist.source == "official" and len(mnist.train_labels) == SIZES["train"]
        assert capsys.readouterr().out == ""

    def test_no_network_falls_back_to_the_bundled_digits_with_one_line(self, capsys):
        assert load_mnist().source == "bundled"
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        assert "10,000 digits" in out and "no download" in out
        assert "9,000 to train, 1,000 to test, shuffled" in out

    def test_no_download_is_tried_when_none_is_wanted(self, monkeypatch, capsys):
        monkeypatch.setattr("bnkit.data.mnist.download_mnist", lambda *a, **k: pytest.fail("tried"))
        assert load_mnist(download=False).source == "bundled"
        assert "no download" not in capsys.readouterr().out

    def test_verbose_false_is_quiet(self, capfd):
        load_mnist("no/such/folder", verbose=False)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.usefixtures("mirror")
    def test_a_download_is_kept_in_the_users_cache(self, monkeypatch):
        assert load_mnist().source == "official"
        monkeypatch.setattr("bnkit.data.mnist.download_mnist", lambda *a, **k: pytest.fail("again"))
        assert load_mnist().source == "official"
        assert [p.name for p in cache_folder().iterdir()] == ["MNIST"]

    @pytest.mark.usefixtures("mirror")
    def test_an_unwritable_cache_is_stated_and_the_bundled_digits_used(
        self, tmp_path, monkeypatch, capsys
    ):
        (tmp_path / "file").write_text("not a folder")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert load_mnist().source == "bundled"
        out = capsys.readouterr().out
        assert out.count("\n") == 1 and str(tmp_path / "file") in out

    @pytest.mark.parametrize("place", ["root", "environment"])
    def test_a_corrupt_file_is_an_error_and_never_a_fallback(self, tmp_path, monkeypatch, place):
        folder = write(tmp_path / "data", gzipped=True)
        path = folder / "t10k-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-20])
        if place == "environment":
            monkeypatch.setenv("BNKIT_DATA", str(folder))
        with pytest.raises(CorruptDataError, match=r"t10k-images-idx3-ubyte\.gz.*MD5.*expected"):
            load_mnist(folder if place == "root" else None)

    @pytest.mark.usefixtures("mirror")
    @pytest.mark.parametrize("damage", ["missing", "truncated"])
    def test_a_damaged_cache_is_fetched_again(self, capsys, damage):
        assert load_mnist(verbose=False).source == "official"
        path = next(cache_folder().rglob("t10k-images*"))
        content = path.read_bytes()
        path.unlink() if damage == "missing" else path.write_bytes(content[:-20])
        assert load_mnist().source == "official"
        out = capsys.readouterr().out
        assert out.count("\n") == 1 and "fetched it again" in out
        assert load_mnist().source == "official" and capsys.readouterr().out == ""

    def test_a_damaged_cache_without_a_network_falls_back_with_one_line(self, capsys):
        path = write(cache_folder(), gzipped=True) / "t10k-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-20])
        assert load_mnist().source == "bundled"
        out = capsys.readouterr().out
        assert out.count("\n") == 1 and "corrupt file" in out and "no download" in out

    def test_a_torchvision_of_another_torch_falls_back(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
        assert load_mnist().source == "bundled"
        assert "torchvision cannot be imported" in capsys.readouterr().out

    @pytest.mark.usefixtures("mirror")
    @pytest.mark.parametrize("error", [OSError("no such symbol"), ValueError(), SyntaxError()])
    def test_a_torchvision_that_raises_anything_falls_back(self, monkeypatch, capsys, error):
        class Broken:
            def __getattr__(self, name):
                raise error

        monkeypatch.setitem(sys.modules, "torchvision.datasets", Broken())
        assert load_mnist().source == "bundled"
        out = capsys.readouterr().out
        assert out.count("\n") == 1 and type(error).__name__ in out

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot be asked about a process")
    @pytest.mark.usefixtures("mirror")
    def test_a_download_that_was_killed_is_swept_away_at_the_next(self):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        names = {
            pid: f".download-{socket.gethostname()}-{pid}-x" for pid in (ended.pid, os.getpid())
        }
        for name in names.values():
            (cache_folder() / name).mkdir(parents=True)
        load_mnist(verbose=False)
        assert not (cache_folder() / names[ended.pid]).exists()
        assert (cache_folder() / names[os.getpid()]).exists()

    @pytest.mark.usefixtures("mirror")
    def test_a_day_old_download_of_another_machine_is_swept_away(self):
        old, new = (cache_folder() / f".download-{name}" for name in ("old", "new"))
        for folder in (old, new):
            folder.mkdir(parents=True)
        os.utime(old, (0, 0))
        load_mnist(verbose=False)
        assert not old.exists() and new.exists()

    def test_bundled_digits_can_be_asked_for(self, monkeypatch, capsys):
        monkeypatch.setattr(
            "bnkit.data.mnist.look_for_mnist", lambda *a, **k: pytest.fail("looked")
        )
        monkeypatch.setenv("BNKIT_DATA", "bundled")
        assert load_mnist().source == "bundled"
        assert "as $BNKIT_DATA asks" in capsys.readouterr().out

    def test_bnkit_data_without_the_files_is_said(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("BNKIT_DATA", str(tmp_path))
        assert load_mnist(download=False).source == "bundled"
        first = capsys.readouterr().out.splitlines()[0]
        assert f"$BNKIT_DATA = {tmp_path} holds none of the official files" in first

    def test_an_incomplete_folder_is_an_error(self, tmp_path):
        folder = write(tmp_path / "data", gzipped=False)
        (folder / "train-labels-idx1-ubyte").unlink()
        with pytest.raises(FileNotFoundError, match="lacks train-labels-idx1-ubyte"):
            load_mnist(folder)

    def test_a_damaged_installation_is_an_error(self, monkeypatch):
        monkeypatch.setitem(mnist_files.BUNDLED, "digits-labels-idx1-ubyte", "0" * 32)
        with pytest.raises(CorruptDataError, match="digits-labels"):
            load_mnist(download=False)


def test_training_set_is_split_80_to_20(bundled):
    train, val, test = mnist_loaders(data=bundled)
    assert (train.num_samples, val.num_samples, test.num_samples) == (7_200, 1_800, 1_000)


def test_splits_are_disjoint(bundled):
    train, val, _ = mnist_loaders(data=bundled)
    assert set(train.indices.tolist()).isdisjoint(val.indices.tolist())
    assert sorted([*train.indices.tolist(), *val.indices.tolist()]) == list(range(9_000))


def test_the_split_depends_on_the_seed_alone(bundled):
    first, second, other = (mnist_loaders(data=bundled, seed=seed)[1] for seed in (0, 0, 1))
    assert first.indices.equal(second.indices)
    assert not first.indices.equal(other.indices)


def test_the_seed_also_fixes_the_training_order(bundled):
    first, second = (mnist_loaders(data=bundled, seed=3)[0] for _ in range(2))
    assert next(iter(first))[1].equal(next(iter(second))[1])


def test_limit_counts_train_and_validation_together(bundled):
    train, val, test = mnist_loaders(data=bundled, limit=100, val_fraction=0.3)
    assert (train.num_samples, val.num_samples, test.num_samples) == (70, 30, 1_000)


def test_no_validation_part_gives_no_loader(bundled):
    train, val, _ = mnist_loaders(data=bundled, val_fraction=0)
    assert val is None and train.num_samples == 9_000


def test_a_last_training_batch_of_one_sample_is_left_out(bundled):
    train, _, _ = mnist_loaders(64, data=bundled, val_fraction=0, limit=129)
    assert [len(y) for _, y in train] == [64, 64]


def test_loaders_share_the_images_instead_of_copying_them(bundled):
    train, val, test = mnist_loaders(data=bundled)
    assert train.images.data_ptr() == val.images.data_ptr() == bundled.train_images.data_ptr()
    assert test.images.data_ptr() == bundled.test_images.data_ptr()


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_an_impossible_validation_part_is_refused(bundled, fraction):
    with pytest.raises(ValueError, match=r"val_fraction in \[0, 1\)"):
        mnist_loaders(data=bundled, val_fraction=fraction)


def test_a_limit_below_one_is_refused(bundled):
    with pytest.raises(ValueError, match="limit of at least 1, got 0"):
        mnist_loaders(data=bundled, limit=0)


def test_mnist_says_what_it_is(bundled):
    assert str(bundled) == "MNIST (bundled): 9,000 training digits, 1,000 test digits"
