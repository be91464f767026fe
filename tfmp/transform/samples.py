"""Batches out of whatever a user hands over as calibration data."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmp.types import TensorRef

_BATCH_SIZE = 64


def batches(data, *, graph=None, batch_size=_BATCH_SIZE, name="Calibration data"):
    """Yields the inputs in batches, as NumPy arrays in the structure of a model's inputs.

    Args:
        data: An array; a list, tuple or dict of arrays for several inputs; or a `tf.data.Dataset` of batches, of inputs
            or of (inputs, targets).
        graph: The network that is to read the data.
        batch_size: Samples in a batch; a data set keeps its own.
        name: What errors call the data.

    Raises:
        ValueError: If there is no data, a value is NaN or infinite, or an array has another shape than the input.
    """
    seen = False
    for batch in _raw_batches(data, batch_size, name):
        seen = True
        check_finite(batch, name)
        if graph is not None:
            _check_inputs(batch, graph, name)
        yield batch
    if not seen:
        raise ValueError(f"{name} must hold at least one sample. Received none.")


def check_finite(batch, name):
    """Raises a `ValueError` if an array in a structure of arrays has values that are NaN or infinite."""
    for array in map(np.asarray, tf.nest.flatten(batch)):
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise ValueError(
                f"{name} must be finite. Received NaN or infinite values: remove them, they would reach every tensor "
                "behind."
            )


def _check_inputs(batch, graph, name):
    """Raises an error where an array cannot be an input; of other structures Keras says itself what it expected."""
    for tensor, array in _by_input(batch, graph):
        wanted, found = graph.tensors[tensor].shape[1:], array.shape[1:]
        # Keras adds or takes off a last axis of size 1.
        if not any(_fits(shape, wanted) for shape in (found, (*found, 1), found[:-1] if found[-1:] == (1,) else found)):
            raise ValueError(
                f"{name} for input `{tensor}` must have the shape (samples, {', '.join(map(str, wanted))}). "
                f"Received: {array.shape}"
            )
        if array.dtype.kind in "OSU" and graph.tensors[tensor].dtype != "string":
            raise ValueError(f"{name} for input `{tensor}` must be numbers. Received: {array.dtype}")


def _by_input(batch, graph):
    """Pairs of an input of the graph and its array, as far as the structures say which belong together."""
    keyed = isinstance(graph.inputs, Mapping)
    if isinstance(batch, Mapping):
        inputs = graph.inputs if keyed else {name: TensorRef(name) for name in graph.input_names}
        known = [(inputs.get(key), array) for key, array in batch.items()]
        return [(reference.name, array) for reference, array in known if isinstance(reference, TensorRef)]
    arrays = tf.nest.flatten(batch)
    if keyed or len(arrays) != len(graph.input_names):
        return []
    return list(zip(graph.input_names, arrays, strict=True))


def _fits(shape, wanted):
    return len(shape) == len(wanted) and all(size in (None, own) for own, size in zip(shape, wanted, strict=True))


def _raw_batches(data, batch_size, name):
    if isinstance(data, tf.data.Dataset):
        for element in data.as_numpy_iterator():
            yield element[0] if isinstance(element, tuple) else element
        return
    data = tf.nest.map_structure(np.asarray, data)
    arrays = tf.nest.flatten(data)
    if not arrays or any(array.ndim == 0 or len(array) != len(arrays[0]) for array in arrays):
        raise ValueError(
            f"{name} must be an array, a list or dict of arrays of equal length, or a `tf.data.Dataset`. "
            f"Received: {type(data).__name__} of {len(arrays)} arrays, shapes {[a.shape for a in arrays[:4]]} ..."
        )
    for start in range(0, len(arrays[0]), batch_size):
        stop = start + batch_size
        yield tf.nest.map_structure(lambda array: array[start:stop], data)  # noqa: B023 (used at once)
