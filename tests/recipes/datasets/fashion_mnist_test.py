"""The Fashion-MNIST loader on artificial data of the same layout, without a download."""

import gzip
import pathlib
import struct
import subprocess
import types

import numpy as np
import pytest

from recipes.datasets import fashion_mnist

COUNTS = {"train": 40, "t10k": 20}


@pytest.fixture
def made(monkeypatch):
    """Both sets, whose sizes the loader then expects."""
    monkeypatch.setattr(fashion_mnist, "NUM_TRAIN", COUNTS["train"])
    monkeypatch.setattr(fashion_mnist, "NUM_TEST", COUNTS["t10k"])
    rng = np.random.default_rng(0)
    return tuple(
        (rng.integers(0, 256, (count, 28, 28), np.uint8), rng.permutation(np.arange(count) % 10))
        for count in COUNTS.values()
    )


def write_package(folder, data):
    """The compressed IDX files of the Debian package: big-endian headers, then bytes."""
    folder.mkdir(parents=True)
    for name, (images, labels) in zip(COUNTS, data, strict=True):
        pixels = struct.pack(">4i", 2051, *images.shape) + images.tobytes()
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels))
        classes = struct.pack(">2i", 2049, len(labels)) + labels.astype(np.uint8).tobytes()
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(classes))


def test_the_debian_source_reads_the_package_and_is_kept(tmp_path, made, monkeypatch):
    commands = []

    def run(command, cwd, **options):
        commands.append(command[0])
        if command[0] == "apt-get":
            (pathlib.Path(cwd) / "dataset-fashion-mnist_0_all.deb").write_bytes(b"")
        else:
            write_package(pathlib.Path(cwd) / "usr" / "share" / "datasets", made)
        return types.SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(fashion_mnist, "SOURCES", {"debian": fashion_mnist.from_debian})
    for _ in range(2):  # the second time from the file
        for (images, labels), (expected, classes) in zip(fashion_mnist.load_fashion_mnist(tmp_path), made, strict=True):
            np.testing.assert_array_equal(images, expected)
            np.testing.assert_array_equal(labels, classes)
            assert images.dtype == np.uint8 and labels.dtype == np.int64
    assert commands == ["apt-get", "dpkg-deb"]
    assert [path.name for path in tmp_path.iterdir()] == ["fashion_mnist.npz"]


def test_the_debian_source_says_why_it_failed(tmp_path, monkeypatch):
    failed = types.SimpleNamespace(returncode=100, stderr="E: Unable to locate package\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: failed)
    with pytest.raises(OSError, match="Unable to locate package"):
        fashion_mnist.from_debian(tmp_path)


def test_other_images_are_refused(made):
    fashion_mnist.check(made)
    with pytest.raises(ValueError, match=r"training images of shape \(40, 28, 28\)"):
        fashion_mnist.check((made[1], made[1]))
