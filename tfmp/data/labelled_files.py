"""Reads labelled data from a folder of images by class, and from a table of features."""

import csv
import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_PARTS = ("train", "test")


def load_image_folder(path: str | os.PathLike[str], shape: tuple[int | None, ...]) -> dict[str, np.ndarray]:
    """Returns the images of a folder with one subfolder per class, or of its parts `train` and `test`.

    Images are resized to the input of the model, as `keras.utils.image_dataset_from_directory` does by default:
    bilinearly, without keeping the ratio of the sides, as float32 from 0 to 255. Scaling is left to the model.

    Args:
        path: The folder. Classes are numbered in the alphabetical order of the subfolders.
        shape: `(height, width, channels)` of the model's input, with 1, 3 or 4 channels.

    Returns:
        `x_train` and `y_train`; also `x_test` and `y_test` if there are parts.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the model takes no images, the folder has no classes, or a file is no image.
    """
    folder = pathlib.Path(path)
    if len(shape) != 3 or None in shape or shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"A folder of images needs a model whose input is (height, width, 1, 3 or 4). Received: {tuple(shape)}"
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}. Expected one with a subfolder for each class.")
    if all((folder / part).is_dir() for part in _PARTS):
        classes = _classes(folder / _PARTS[0])
        parts = {part: _images(folder / part, classes, shape) for part in _PARTS}
    else:
        parts = {_PARTS[0]: _images(folder, _classes(folder), shape)}
    return {f"{name}_{part}": array for part, pair in parts.items() for name, array in zip("xy", pair, strict=True)}


def load_feature_table(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns features and labels of a CSV file with a line of names.

    The labels are the column `label`, or else the last one: class indices, or names of classes, which are numbered in
    alphabetical order. All other columns are numbers, in the order of the model's input.

    Args:
        path: The file.

    Returns:
        `x_train`, float32 `[rows, features]`, and `y_train`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no rows, rows of other lengths, or features that are no numbers; the message names the
            line.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}. Expected a CSV file of features and labels.")
    with open(path, newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file) if row] or [[]]
    if len(header) < 2 or not rows:
        raise ValueError(
            f"Expected a CSV file with a line of names and one of numbers for each sample. Received: "
            f"{os.fspath(path)!r} with {len(header)} columns and {len(rows)} samples."
        )
    label, place = repr(os.fspath(path)), header.index("label") if "label" in header else len(header) - 1
    features, labels = [], []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{label}, line {number}: expected {len(header)} values. Received: {len(row)}.")
        try:
            features.append([float(value) for column, value in enumerate(row) if column != place])
        except ValueError as error:
            raise ValueError(f"{label}, line {number}: features must be numbers: {error}.") from error
        labels.append(row[place].strip())
    return {"x_train": np.asarray(features, np.float32), "y_train": _class_indices(labels)}


def _class_indices(labels: list[str]) -> np.ndarray:
    try:
        return np.asarray([int(label) for label in labels])
    except ValueError:
        numbers = {name: number for number, name in enumerate(sorted(set(labels)))}
        return np.asarray([numbers[label] for label in labels])


def _classes(folder: pathlib.Path) -> list[str]:
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if len(classes) < 2:
        raise ValueError(
            f"Expected a folder with a subfolder for each class. Received: {str(folder)!r} with "
            f"{', '.join(classes) or 'none'}."
        )
    return classes


def _images(folder: pathlib.Path, classes: list[str], shape: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]:
    files = [
        (path, number)
        for number, name in enumerate(classes)
        for path in sorted((folder / name).glob("**/*"))
        if path.suffix.lower() in _ENDINGS
    ]
    if not files:
        raise ValueError(
            f"Expected images ({', '.join(_ENDINGS)}) in the subfolders of {str(folder)!r}. Received none."
        )
    images = np.empty((len(files), *shape), np.float32)
    for place, (path, _) in enumerate(files):
        try:
            image = tf.io.decode_image(path.read_bytes(), channels=shape[-1], expand_animations=False)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{str(path)!r} is no image that can be read. Remove it, or write it again.") from error
        images[place] = tf.image.resize(image, shape[:2]).numpy()
    return images, np.asarray([number for _, number in files])
