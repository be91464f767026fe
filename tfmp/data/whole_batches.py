"""Runs any number of samples through a model with a fixed batch size."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf

from tfmp.data.batches import num_samples, regrouped
from tfmp.data.structure import map_leaves


def fixed_batch_size(model: Any) -> int | None:
    """Returns the fixed batch size of a Keras model, or None."""
    sizes = {tensor.shape[0] for tensor in model.inputs}
    return sizes.pop() if len(sizes) == 1 else None


def by_whole_batches(model: Any) -> Callable:
    """Returns a function that computes the outputs of a model at inference, in whole batches.

    The last batch is padded with the last sample, and the additional outputs are removed. Inside a `tf.function` the
    number of samples must be known: no `reduce_retracing`.

    Args:
        model: A Keras model.
    """
    batch_size = fixed_batch_size(model)

    def compute(inputs):
        count = tf.nest.flatten(inputs)[0].shape[0]
        if batch_size is None or count == batch_size:
            return model(inputs, training=False)
        outputs = [
            model(tf.nest.map_structure(lambda x: _part(x, start, batch_size), inputs), training=False)  # noqa: B023
            for start in range(0, count, batch_size)
        ]
        return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0)[:count], *outputs)

    return compute


def full_batches(batches: Iterable[Any], batch_size: int | None) -> Iterator[Any]:
    """Yields whole batches of a fixed size, for statistics; a smaller batch only if there is no other.

    Args:
        batches: Structures of arrays.
        batch_size: Samples in a batch; None to keep the batches unchanged.
    """
    if batch_size is None:
        yield from batches
        return
    for number, batch in enumerate(regrouped(batches, batch_size)):
        if num_samples(batch) == batch_size:
            yield batch
        elif not number:
            yield map_leaves(lambda array: array[_cycle(len(array), batch_size)], batch)


def _part(tensor, start, size):
    part = tensor[start : start + size]
    missing = size - part.shape[0]
    return tf.concat([part, tf.repeat(part[-1:], missing, axis=0)], 0) if missing else part


def _cycle(count, size):
    return [position % count for position in range(size)]
