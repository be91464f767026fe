"""Iterates over large arrays in chunks, so that arrays on disk are never loaded whole."""

from collections.abc import Iterator
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
