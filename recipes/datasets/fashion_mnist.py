"""Fashion-MNIST from any available source, saved as one verified file."""

import gzip
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Callable

import numpy as np

from recipes.datasets.image_store import ImageStore, Split, check_images, integer_labels, socket_timeout

DEBIAN_PACKAGE = "dataset-fashion-mnist"
NUM_TRAIN = 60_000
NUM_TEST = 10_000
NUM_CLASSES = 10
IMAGE_SHAPE = (28, 28)
STORE = ImageStore("Fashion-MNIST", "fashion_mnist")
_DOWNLOAD_TIMEOUT_SECONDS = 600
_PIXELS_OFFSET, _LABELS_OFFSET = 16, 8  # bytes of the headers of IDX files


def load_fashion_mnist(directory: str | os.PathLike | None = None) -> tuple[Split, Split]:
    """Loads Fashion-MNIST: 60,000 training and 10,000 test images of ten classes, in the original order.

    Reads `fashion_mnist.npz` in `directory`. If it is not there, takes the data from `keras.datasets`, or where its
    host cannot be reached from a Debian package (30 MB, needs `apt-get` and `dpkg-deb`), and writes the file.

    Args:
        directory: Folder of `fashion_mnist.npz`. By default `fashion_mnist` in the folder that the environment variable
            TFMP_DATA_DIR names, or else `~/.cache/tfmp/fashion_mnist`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images `[N, 28, 28]`, int64 labels `[N]` from 0 to 9.

    Raises:
        ValueError: If the local file is not Fashion-MNIST.
        FileNotFoundError: If there is no local file and no source gives the data; names what was tried.

    Reference: Xiao et al., 2017, https://arxiv.org/abs/1708.07747
    """
    return STORE.load(directory, SOURCES, check)


def check(data: tuple[Split, Split]) -> None:
    """Raises `ValueError` unless `data` have the shapes, types and class balance of Fashion-MNIST."""
    check_images(data, (NUM_TRAIN, NUM_TEST), IMAGE_SHAPE, NUM_CLASSES)


def from_keras(folder: pathlib.Path) -> tuple[Split, Split]:
    """Takes the data from `keras.datasets`, which keeps its own copy and needs no `folder`."""
    import keras

    with socket_timeout():
        (x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    return (x_train, integer_labels(y_train)), (x_test, integer_labels(y_test))


def from_debian(folder: pathlib.Path) -> tuple[Split, Split]:
    """Takes the data from the Debian package; `folder` has room for the package while it is read."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".debian-") as workspace:
        _run(["apt-get", "download", DEBIAN_PACKAGE], workspace)
        for package in pathlib.Path(workspace).glob("*.deb"):
            _run(["dpkg-deb", "--extract", package.name, "."], workspace)
        return read_idx_files(pathlib.Path(workspace))


def read_idx_files(folder: pathlib.Path) -> tuple[Split, Split]:
    """Reads the four compressed IDX files anywhere below a folder."""

    def read(name: str, offset: int) -> np.ndarray:
        path = next(folder.rglob(f"{name}-ubyte.gz"), None)
        if path is None:
            raise OSError(f"the package holds no {name}-ubyte.gz")
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)

    def split(prefix: str) -> Split:
        pixels = read(f"{prefix}-images-idx3", _PIXELS_OFFSET).reshape(-1, *IMAGE_SHAPE)
        return pixels, integer_labels(read(f"{prefix}-labels-idx1", _LABELS_OFFSET))

    return split("train"), split("t10k")


def _run(command: list[str], folder: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


SOURCES: dict[str, Callable[[pathlib.Path], tuple[Split, Split]]] = {
    "keras.datasets": from_keras,
    f"Debian package {DEBIAN_PACKAGE}": from_debian,
}
