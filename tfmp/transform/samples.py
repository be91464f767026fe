"""Batches out of whatever a user hands over as calibration data."""

import numpy as np
import tensorflow as tf

_BATCH_SIZE = 64


def batches(data, *, batch_size=_BATCH_SIZE, name="Calibration data"):
    """Yields the inputs in batches, as NumPy arrays in the structure of a model's inputs.

    Args:
        data: An array; a list, tuple or dict of arrays for several inputs; or a `tf.data.Dataset` of batches, of inputs
            or of (inputs, targets).
        batch_size: Samples in a batch; a data set keeps its own.
        name: What errors call the data.

    Raises:
        ValueError: If there is no data, or a value is NaN or infinite.
    """
    seen = False
    for batch in _raw_batches(data, batch_size, name):
        seen = True
        for array in tf.nest.flatten(batch):
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise ValueError(
                    f"{name} must be finite. Received NaN or infinite values: remove them, they would reach every "
                    "tensor behind."
                )
        yield batch
    if not seen:
        raise ValueError(f"{name} must hold at least one sample. Received none.")


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
