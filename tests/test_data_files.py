# ruff: noqa: F811  (fixtures are imported by name)
import gzip
import hashlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from fake_mnist import SIZES, contents, fake_official, mirror, write  # noqa: F401
from torchvision.datasets import MNIST as TV_MNIST
from torchvision.datasets.mnist import read_image_file

from bnkit.data import files as mnist_files
from bnkit.data.files import (
    ASSETS,
    BUNDLED,
    CorruptDataError,
    cache_folder,
    download_mnist,
    find_mnist,
    look_for_mnist,
    read_bundled,
    read_idx,
    read_official,
)

pytestmark = pytest.mark.usefixtures("fake_official")
IMAGES = "train-images-idx3-ubyte"


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_official_files_are_found_gzipped_or_raw_in_each_folder_shape(tmp_path, place, gzipped):
    write(tmp_path / "data" / place, gzipped=gzipped)
    train_images, train_labels, test_images, test_labels = read_official(
        find_mnist(tmp_path / "data")
    )
    assert train_images.shape == (SIZES["train"], 28, 28)
    assert test_images.shape == (SIZES["t10k"], 28, 28)
    assert train_labels.tolist() == [i % 10 for i in range(SIZES["train"])]
    assert test_labels.tolist() == list(range(SIZES["t10k"]))


def test_an_idx_file_reads_as_torchvision_reads_it(tmp_path):
    path = write(tmp_path, gzipped=False) / IMAGES
    ours = read_idx(path, mnist_files.OFFICIAL[IMAGES])
    assert ours.equal(read_image_file(str(path)))


def test_read_images_can_be_written_to(tmp_path):
    path = write(tmp_path, gzipped=True) / f"{IMAGES}.gz"
    images = read_idx(path, mnist_files.OFFICIAL[IMAGES])
    images[0] = 7
    assert images[0].unique().tolist() == [7]


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_file_with_one_changed_byte_is_refused_with_both_checksums(tmp_path, gzipped):
    content = bytearray(contents()[IMAGES])
    content[100] ^= 1
    path = tmp_path / (f"{IMAGES}.gz" if gzipped else IMAGES)
    path.write_bytes(gzip.compress(content) if gzipped else content)
    expected = mnist_files.OFFICIAL[IMAGES]
    with pytest.raises(CorruptDataError) as error:
        read_idx(path, expected)
    message = str(error.value)
    assert str(path) in message and expected in message
    assert hashlib.md5(content).hexdigest() in message


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("kept", [0, 5, 300])
def test_a_truncated_file_is_refused_with_both_checksums(tmp_path, gzipped, kept):
    path = write(tmp_path, gzipped=gzipped) / (f"{IMAGES}.gz" if gzipped else IMAGES)
    path.write_bytes(path.read_bytes()[:kept])
    expected = mnist_files.OFFICIAL[IMAGES]
    with pytest.raises(CorruptDataError, match=rf"(?s){path.name}.*MD5 [0-9a-f]{{32}}") as error:
        read_idx(path, expected)
    assert f"expected {expected}" in str(error.value)


def test_a_gz_file_that_is_no_gzip_is_refused(tmp_path):
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(b"<html>not here</html>")
    with pytest.raises(CorruptDataError, match=r"unpacking fails.*MD5.*expected"):
        read_idx(path, mnist_files.OFFICIAL[IMAGES])


def test_a_folder_with_some_of_the_files_names_the_missing_ones(tmp_path):
    write(tmp_path, gzipped=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks t10k-labels-idx1-ubyte \("):
        find_mnist(tmp_path)


def test_root_comes_before_the_environment(tmp_path, monkeypatch):
    assert look_for_mnist() == []
    named = write(tmp_path / "named", gzipped=True)
    monkeypatch.setenv("BNKIT_DATA", str(named))
    assert look_for_mnist()[0].parent == named
    root = write(tmp_path / "root", gzipped=False)
    assert look_for_mnist(root)[0].parent == root


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/x/cache", "/x/cache/bnkit"),
        ("linux", "HOME", "/x", "/x/.cache/bnkit"),
        ("darwin", "HOME", "/x", "/x/Library/Caches/bnkit"),
        ("win32", "LOCALAPPDATA", "/x/Local", "/x/Local/bnkit"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    monkeypatch, platform, variable, value, expected
):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_a_download_takes_the_mirror_that_answers_and_leaves_only_the_files(mirror, tmp_path):
    files = download_mnist(tmp_path / "cache", quiet=True)
    assert read_official(files)[1].tolist() == [i % 10 for i in range(SIZES["train"])]
    names = {str(p.relative_to(tmp_path / "cache")) for p in (tmp_path / "cache").rglob("*")}
    assert names == {"MNIST", "MNIST/raw", *(f"MNIST/raw/{f.name}" for f in files)}


def test_a_download_that_fails_midway_leaves_nothing(mirror, tmp_path):
    (mirror / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ConnectionError, match=r"t10k-labels-idx1-ubyte\.gz"):
        download_mnist(tmp_path / "cache", quiet=True)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_mirror_with_wrong_contents_is_not_believed(mirror, tmp_path):
    (mirror / f"{IMAGES}.gz").write_bytes(b"<html>please log in</html>")
    with pytest.raises(ConnectionError, match=f"{IMAGES}.gz"):
        download_mnist(tmp_path / "cache", quiet=True)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    def half(url, folder, md5):
        Path(folder).mkdir(parents=True)
        Path(folder, "half.gz").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.utils.download_url", half)
    with pytest.raises(KeyboardInterrupt):
        download_mnist(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_second_process_that_was_quicker_wins(mirror, tmp_path):
    theirs = write(tmp_path / "cache" / "MNIST" / "raw", gzipped=True)
    assert download_mnist(tmp_path / "cache", quiet=True)[0].parent == theirs
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["MNIST"]


def test_a_mirror_that_stays_silent_is_given_up_soon(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(TV_MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        before, start = socket.getdefaulttimeout(), time.monotonic()
        with pytest.raises(ConnectionError, match="timed out"):
            download_mnist(tmp_path / "cache", quiet=True)
    assert time.monotonic() - start < 10
    assert socket.getdefaulttimeout() == before


def test_bundled_files_carry_no_name_and_no_time():
    for name in BUNDLED:
        header = (ASSETS / f"{name}.gz").read_bytes()[:10]
        assert header[3] == 0 and header[4:8] == bytes(4)


def test_bundled_digits_have_mnists_shape():
    images, labels = read_bundled()
    assert images.shape == (10_000, 28, 28) and labels.shape == (10_000,)
    assert labels.unique().tolist() == list(range(10))


@pytest.mark.parametrize("own_folder", [False, True])
@pytest.mark.parametrize("gzipped", [False, True])
def test_files_with_a_dot_and_in_folders_of_their_own_are_found(tmp_path, own_folder, gzipped):
    write(tmp_path / "data", gzipped=gzipped)
    for path in sorted((tmp_path / "data").rglob("*ubyte*")):
        dotted = path.name.replace("-idx", ".idx")
        place = path.parent / dotted.removesuffix(".gz") if own_folder else path.parent
        content = path.read_bytes()
        path.unlink()
        place.mkdir(exist_ok=True)
        (place / dotted).write_bytes(content)
    found = find_mnist(tmp_path / "data")
    assert len(found) == 4 and all(".idx" in path.name for path in found)


def test_a_folder_that_cannot_be_read_is_not_said_to_hold_none(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot read the folder"):
        find_mnist(tmp_path)


def test_a_corrupt_file_says_what_to_do(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"damaged")
    with pytest.raises(CorruptDataError, match="delete it, so that it is fetched again"):
        read_idx(path, "0" * 32)


def test_a_folder_below_a_closed_one_cannot_be_read_either(tmp_path, monkeypatch):
    look = os.stat

    def closed(path, **options):
        if os.fspath(path).endswith("raw"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(os, "stat", closed)
    with pytest.raises(PermissionError, match=r"cannot read the folder .*raw"):
        find_mnist(tmp_path)
