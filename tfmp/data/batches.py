"""Iterates over data in batches."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfmp.checks import received
from tfmp.data.model_inputs import ModelInputs
from tfmp.data.source import JOINED_BATCHES, Arrays, source_of
from tfmp.data.structure import leaves, map_leaves
from tfmp.graph import Graph

_BATCH_SIZE = 64
_PARTS = ("inputs", "targets", "sample weights")


def batches(data: Any, *, graph: Graph, batch_size: int = _BATCH_SIZE, name: str = "`calibration`") -> Iterator[Any]:
    """Yields the inputs in batches, as NumPy arrays in the structure of the model's inputs; targets are ignored.

    A tuple is read as the inputs if the model has as many, otherwise as (inputs, targets) or (inputs, targets,
    sample_weight), as in `fit`.

    Args:
        data: An array; a list, tuple or dict of arrays for several inputs; a `tf.data.Dataset`, a `PyDataset` or
            `Sequence`, or a function that returns an iterator of batches, each in one of these forms.
        graph: The network that reads the data.
        batch_size: Samples in a batch of arrays. Smaller batches are joined, so that data with one sample per batch
            give the statistics of many; larger batches stay. A model with a fixed batch gets batches of its size; the
            last may be smaller, see `padded`.
        name: Name of the data in errors.

    Raises:
        ValueError: If there are no samples, the data are infinite, a value is NaN or infinite, or an array does not
            fit an input.
        TypeError: If the data have another form, or can be read only once.
    """
    inputs = ModelInputs.of(graph)
    for arrays in named_batches(data, inputs=inputs, batch_size=batch_size, name=name):
        yield inputs.arranged(arrays)


def named_batches(
    data: Any, *, inputs: ModelInputs, batch_size: int = _BATCH_SIZE, name: str = "`data`"
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the same as `batches`, as a dict of arrays by input name."""
    inputs_only = (arrays for arrays, *_ in _read(data, inputs, batch_size, name, labelled=False))
    yield from regrouped(inputs_only, inputs.batch_size or batch_size, split=inputs.batch_size is not None)


def labelled_batches(
    data: Any, *, inputs: ModelInputs, batch_size: int = _BATCH_SIZE, name: str = "`data`"
) -> Iterator[tuple[dict[str, np.ndarray], Any, Any]]:
    """Yields (inputs, targets, sample weights) in batches: arrays by input name, a structure of arrays, one or None.

    Args:
        data: (inputs, targets) or (inputs, targets, sample_weight); or batches of these, see `batches`.
        inputs: The inputs of the model.
        batch_size: Samples in a batch of arrays.
        name: Name of the data in errors.

    Raises:
        ValueError, TypeError: As in `batches`, and if there are no targets.
    """
    yield from _read(data, inputs, batch_size, name, labelled=True)


def parts_of(
    element: Any, name: str, *, inputs: ModelInputs | None = None, labelled: bool = True
) -> tuple[Any, Any, Any]:
    """Splits a structure of arrays into (inputs, targets, sample weights), with None for missing parts.

    Args:
        element: The data, or a batch of them.
        name: Name of the data in errors.
        inputs: The inputs of the model, which distinguish several inputs from inputs and targets.
        labelled: True if targets are required.

    Raises:
        ValueError: If required targets are missing, lengths differ, or a value is NaN or infinite.
    """
    is_tuple = isinstance(element, tuple) and 1 <= len(element) <= len(_PARTS)
    if labelled:
        parts = _labelled_parts(element, name)
    elif is_tuple and inputs is not None and not inputs.accepts(element):
        parts = element[:1]
    else:
        parts = (element,)
    lengths = {array.shape[0] if array.ndim else None for array in leaves(parts)}
    if len(lengths) > 1 or None in lengths:
        raise ValueError(
            f"{name} must have arrays of equal length for inputs and targets, one entry per sample. Received: arrays "
            f"of the shapes {', '.join(str(array.shape) for array in leaves(parts))}"
        )
    for part, word in zip(parts, _PARTS, strict=False):
        check_finite(part, f"The {word} of {name}")
    return (*parts, None, None)[:3]


def check_finite(arrays: Any, name: str) -> None:
    """Raises a `ValueError` if an array in a structure of arrays has values that are NaN or infinite."""
    for array in leaves(arrays):
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise ValueError(
                f"{name} must be finite. Received NaN or infinite values: remove them, they would reach every tensor "
                "computed from them."
            )


def num_samples(batch: Any) -> int:
    """Returns the number of samples in a structure of arrays."""
    return len(next(leaves(batch)))


def regrouped(batches: Iterable[Any], size: int, *, split: bool = True) -> Iterator[Any]:
    """Yields the samples of batches, in order, in batches of `size`; the last may be smaller.

    Args:
        batches: Structures of arrays.
        size: Number of samples in a batch.
        split: False to keep larger batches whole.
    """
    waiting, count = [], 0
    for batch in batches:
        waiting.append(batch)
        count += num_samples(batch)
        if count >= size:
            joined = _joined(waiting)
            whole, step = (count - count % size, size) if split else (count, count)
            yield from (_samples(joined, start, start + step) for start in range(0, whole, step))
            waiting, count = [_samples(joined, whole, count)] if count > whole else [], count - whole
    if count:
        yield _joined(waiting)


def padded(batch: Any, size: int) -> tuple[Any, int]:
    """Returns a batch padded to `size` samples by repeating the last one, and the number of real samples."""
    count = num_samples(batch)
    if count == size:
        return batch, count
    return map_leaves(lambda array: np.concatenate([array, np.repeat(array[-1:], size - count, axis=0)]), batch), count


def first_samples(batches: Iterable[Any], count: int) -> Any:
    """Returns the first `count` samples of batches as one batch, or all samples if there are fewer."""
    return next(regrouped(batches, count))


def _read(data, inputs, batch_size, name, *, labelled):
    source = source_of(data, name)
    if source.num_batches(batch_size) == np.inf:
        raise ValueError(
            f"{name} must have an end. Received: {received(data)}, which has none. Give `data.take(batches)`."
        )
    if isinstance(source, Arrays) and not labelled:
        _check_no_list_of_batches(source.structure, inputs, name)
    seen = False
    for element in source.elements(batch_size):
        arrays, targets, weights = parts_of(element, name, inputs=inputs, labelled=labelled)
        arrays = inputs.named(arrays, name)
        if num_samples(arrays):
            seen = True
            yield arrays, targets, weights
    if not seen:
        hint = " The function has to return a new iterator each time it is called." if callable(data) else ""
        raise ValueError(f"{name} must hold at least one sample. Received none.{hint}")


def _check_no_list_of_batches(structure, inputs, name):
    is_tuple = isinstance(structure, tuple) and len(structure) <= len(_PARTS)
    if isinstance(structure, list | tuple) and not is_tuple and not inputs.accepts(structure):
        raise ValueError(
            f"{name} must have one array for each of the {len(inputs.names)} inputs, or be a tuple (inputs, targets). "
            f"Received: a {type(structure).__name__} of {len(structure)}. {JOINED_BATCHES}"
        )


def _labelled_parts(element, name):
    is_pair = isinstance(element, list | tuple) and 2 <= len(element) <= len(_PARTS) and element[1] is not None
    if not is_pair or isinstance(element, list) and all(isinstance(part, tuple) for part in element):
        description = type(element).__name__
        if isinstance(element, Mapping):
            description += f" with the keys {', '.join(map(str, element))}"
        elif isinstance(element, list | tuple):
            description += f" of {len(element)}. {JOINED_BATCHES}"
        raise ValueError(
            f"{name} must be (inputs, targets) or (inputs, targets, sample_weight), or batches of these. "
            f"Received: {description}"
        )
    return tuple(element)


def _joined(batches):
    if len(batches) == 1:
        return batches[0]
    return map_leaves(lambda *arrays: np.concatenate(arrays), *batches)


def _samples(batch, start, stop):
    return map_leaves(lambda array: array[start:stop], batch)
