"""Iterates over large arrays in chunks, and rejects NaN and infinity before they are saved."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

_CHUNK_BYTES = 1 << 24


def is_array(value: Any) -> bool:
    """Returns True for arrays, tensors and variables of any library, also for those in a file (HDF5, Zarr)."""
    return hasattr(value, "__array__") or hasattr(value, "chunks")


def array_chunks(array: Any) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each chunk of an array as the index of its first row and its rows; a scalar is one row."""
    if not hasattr(array, "chunks"):  # it is in memory or memory-mapped
        array = np.atleast_1d(np.asarray(array))
    step = max(1, _CHUNK_BYTES // max(1, np.asarray(array[:1]).nbytes))
    for start in range(0, len(array), step):
        yield start, np.asarray(array[start : start + step])


class NotFiniteError(ValueError):
    """A value is NaN or infinite."""


def first_not_finite(array: np.ndarray) -> tuple[int, ...] | None:
    """Returns the index of the first NaN or infinite value of an array, or None."""
    for start, rows in array_chunks(array):
        if rows.dtype.kind in "biuOSUmM":
            return None
        wrong = ~np.isfinite(rows)
        if wrong.any():
            first, *others = map(int, np.unravel_index(int(wrong.argmax()), wrong.shape))
            return start + first, *others
    return None


def check_finite(name: str, array: np.ndarray, *, hint: str = "Remove such samples.") -> None:
    """Checks that no value of an array is NaN or infinite.

    Args:
        name: Name of the array in the error.
        array: Numbers; arrays of other types are not checked.
        hint: What the error tells the user to do.

    Raises:
        NotFiniteError: If there is such a value; the message gives its position.
    """
    index = first_not_finite(array)
    if index is not None:
        raise NotFiniteError(
            f"`{name}` must be finite. Received: NaN or infinity at index {list(index)} of shape "
            f"{tuple(np.shape(array))}. {hint}"
        )


def names_not_finite(arrays: Iterable[tuple[str, np.ndarray]]) -> Iterator[str]:
    """Yields the names of arrays with NaN or infinite values, given pairs of a name and an array."""
    return (name for name, array in arrays if first_not_finite(array) is not None)


def check_class_indices(name: str, labels: np.ndarray, shape: tuple[int, ...], classes: int) -> None:
    """Checks labels for sparse cross-entropy, which would fail on wrong ones in the middle of training.

    Args:
        name: Name of the labels in the error.
        labels: Class indices, of any numeric type.
        shape: Expected shape; an additional last axis of size 1 is allowed.
        classes: The number of classes.

    Raises:
        ValueError: If the shape is wrong, or a label is not a class index.
    """
    labels = np.asarray(labels)
    if labels.shape not in (shape, (*shape, 1)) or not np.isin(labels, np.arange(classes)).all():
        examples = ", ".join(map(str, np.unique(labels)[-3:])) if labels.dtype != object else "objects"
        raise ValueError(
            f"`{name}` must hold class indices from 0 to {classes - 1}, in the shape {shape}. Received: {labels.dtype} "
            f"of shape {labels.shape}, such as {examples}"
        )
