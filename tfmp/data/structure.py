"""Nested structures of arrays."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfmp.checks import received


def is_array(value: Any) -> bool:
    """Returns True for arrays and tensors of any library, and for lists of plain numbers."""
    return hasattr(value, "__array__") or _is_plain(value) and isinstance(value, list | tuple)


def as_arrays(structure: Any, name: str) -> Any:
    """Returns a structure of tuples, lists and dicts with every array as a NumPy array; None is kept."""
    if structure is None or hasattr(structure, "chunks"):  # an array in a file: HDF5, Zarr
        return structure
    if isinstance(structure, Mapping):
        return {key: as_arrays(value, name) for key, value in structure.items()}
    if isinstance(structure, list | tuple) and not is_array(structure):
        return (tuple if isinstance(structure, tuple) else list)(as_arrays(value, name) for value in structure)
    try:
        array = np.asarray(structure)
    except Exception as error:  # the library may raise any exception
        raise ValueError(f"{name} must be arrays. Received: {received(structure)}. {error}") from error
    return array.astype(np.float32) if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2") else array


def leaves(structure: Any) -> Iterator[Any]:
    """Yields the arrays of a structure, in order."""
    if isinstance(structure, Mapping):
        structure = structure.values()
    if isinstance(structure, Iterable) and not hasattr(structure, "shape"):
        for value in structure:
            yield from leaves(value)
    elif structure is not None:
        yield structure


def map_leaves(function: Callable[[Any], Any], structure: Any, *others: Any) -> Any:
    """Returns a structure with `function` applied to every array, together with those at its place in the others."""
    if structure is None:
        return None
    if isinstance(structure, Mapping):
        return {key: map_leaves(function, value, *(each[key] for each in others)) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(map_leaves(function, *values) for values in zip(structure, *others, strict=True))
    return function(structure, *others)


def _is_plain(value):
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_plain, value))
    return isinstance(value, int | float | str | bytes | np.generic)
