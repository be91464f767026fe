"""Rejects NaN and infinity in data and state before they are saved."""

from collections.abc import Iterable, Iterator

import numpy as np

from tfmp.files.array_chunks import array_chunks


class NotFiniteError(ValueError):
    """A value is NaN or infinite."""


def first_not_finite(array: np.ndarray) -> tuple[int, ...] | None:
    """Returns the index of the first value of an array that is NaN or infinite, None if there is none."""
    for start, rows in array_chunks(array):
        if rows.dtype.kind in "biuOSUmM":
            return None
        wrong = ~np.isfinite(rows)
        if wrong.any():
            first, *others = map(int, np.unravel_index(int(wrong.argmax()), wrong.shape))
            return start + first, *others
    return None


def check_finite(name: str, array: np.ndarray, *, hint: str = "Remove such samples.") -> None:
    """Raises an error if a value of an array is NaN or infinite.

    Args:
        name: What the caller calls the array.
        array: Numbers; other types pass.
        hint: The way out.

    Raises:
        NotFiniteError: If there is one; the message says where.
    """
    index = first_not_finite(array)
    if index is not None:
        raise NotFiniteError(
            f"`{name}` must be finite. Received: NaN or infinity at index {list(index)} of shape "
            f"{tuple(np.shape(array))}. {hint}"
        )


def names_not_finite(arrays: Iterable[tuple[str, np.ndarray]]) -> Iterator[str]:
    """Yields the names of those of pairs of a name and an array that hold NaN or an infinite value."""
    return (name for name, array in arrays if first_not_finite(array) is not None)


def check_class_indices(name: str, labels: np.ndarray, shape: tuple[int, ...], classes: int) -> None:
    """Raises an error unless labels are what sparse cross-entropy takes: it meets wrong ones in the middle of training.

    Args:
        name: What the caller calls the labels.
        labels: Class indices, of any numeric type.
        shape: Their shape; a last axis of one more is allowed.
        classes: The number of classes.

    Raises:
        ValueError: If the shape is another, or a label is no index of a class.
    """
    labels = np.asarray(labels)
    if labels.shape not in (shape, (*shape, 1)) or not np.isin(labels, np.arange(classes)).all():
        examples = ", ".join(map(str, np.unique(labels)[-3:])) if labels.dtype != object else "objects"
        raise ValueError(
            f"`{name}` must hold class indices from 0 to {classes - 1}, in the shape {shape}. Received: {labels.dtype} "
            f"of shape {labels.shape}, such as {examples}"
        )
