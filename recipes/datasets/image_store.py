"""Keeps a set of labelled images as one verified file, fetched from the first source that gives it."""

import contextlib
import dataclasses
import os
import pathlib
import socket
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

NETWORK_TIMEOUT_SECONDS = 20

Split = tuple[np.ndarray, np.ndarray]
Data = tuple[Split, Split]
Source = Callable[[pathlib.Path], Data]


@dataclasses.dataclass(frozen=True)
class ImageStore:
    """Where a set of images is kept.

    Args:
        title: Its name in messages.
        name: Of its folder and its file.
    """

    title: str
    name: str

    def default_directory(self) -> pathlib.Path:
        """The folder that keeps the data: `$TFMP_DATA_DIR/<name>`, or `~/.cache/tfmp/<name>`."""
        root = os.environ.get("TFMP_DATA_DIR")
        return (pathlib.Path(root) if root else pathlib.Path.home() / ".cache" / "tfmp") / self.name

    def load(
        self, directory: str | os.PathLike | None, sources: Mapping[str, Source], check: Callable[[Data], None]
    ) -> Data:
        """Returns training and test set from the local file, or from the first source that gives them.

        Args:
            directory: Folder of the file `<name>.npz`; None for the default one.
            sources: Name to a function that returns the data, given a folder with room for archives.
            check: Raises `ValueError` unless data are those expected.

        Raises:
            ValueError: If the local file holds other data.
            FileNotFoundError: If there is no local file and no source gives the data; names what was tried.
        """
        folder = pathlib.Path(directory) if directory is not None else self.default_directory()
        path = folder / f"{self.name}.npz"
        if path.exists():
            return self._read(path, check)
        folder.mkdir(parents=True, exist_ok=True)
        failures = [f"{path}: no such file"]
        for name, source in sources.items():
            print(f"{self.title}: trying {name}", file=sys.stderr)
            try:
                data = source(folder)
                check(data)
            except Exception as error:  # if a source fails for any reason, the next one may work
                failures.append(f"{name}: {type(error).__name__}: {error}")
                continue
            _write(path, data)
            return data
        raise FileNotFoundError(
            f"{self.title} was not found. Tried:\n  "
            + "\n  ".join(failures)
            + f"\nMake one of these reachable, or place a file with x_train, y_train, x_test, y_test at {path}."
        )

    def _read(self, path: pathlib.Path, check: Callable[[Data], None]) -> Data:
        try:
            with np.load(path) as stored:
                train, test = (
                    (stored[f"x_{split}"], integer_labels(stored[f"y_{split}"])) for split in ("train", "test")
                )
            check((train, test))
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not {self.title}: {error} Remove it to have it fetched again.") from error
        return train, test


def check_images(data: Data, counts: tuple[int, int], shape: tuple[int, ...], num_classes: int) -> None:
    """Raises `ValueError` unless training and test set have these shapes, uint8 images and balanced classes."""
    for name, (images, labels), count in zip(("training", "test"), data, counts, strict=True):
        if images.shape != (count, *shape) or images.dtype != np.uint8:
            raise ValueError(
                f"Expected uint8 {name} images of shape {(count, *shape)}. Received: {images.dtype} {images.shape}"
            )
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"Expected {count} integer {name} labels. Received: {labels.dtype} {labels.shape}")
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(
                f"Expected {name} labels from 0 to {num_classes - 1}. Received: {labels.min()} to {labels.max()}"
            )
        classes = np.bincount(labels, minlength=num_classes)
        if np.any(classes != count // num_classes):
            raise ValueError(f"Expected {count // num_classes} {name} images a class. Received: {classes.tolist()}")


def integer_labels(values: object) -> np.ndarray:
    """Returns labels as an int64 vector."""
    return np.asarray(values, dtype=np.int64).reshape(-1)


@contextlib.contextmanager
def socket_timeout(seconds: float = NETWORK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Limits how long a connection may take inside the block."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _write(path: pathlib.Path, data: Data) -> None:
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
