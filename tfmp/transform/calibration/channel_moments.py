"""Means and variances of tensors per channel."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.batches import num_samples
from tfmp.data.whole_batches import by_whole_batches, fixed_batch_size

_MIN_VALUES = 32
_SMALLEST_SHARE = 1e-3
_ROUNDING = 1e-6  # relative to the squared mean: rounding error of the difference of two float32 averages


@dataclasses.dataclass(frozen=True)
class ChannelMoments:
    """Moments of one tensor over all positions of all samples.

    Args:
        mean: `[channels]` array, float64.
        variance: `[channels]` array, float64.
        count: Number of values per channel.
    """

    mean: np.ndarray
    variance: np.ndarray
    count: int

    def usable(self, variance: ArrayLike) -> np.ndarray:
        """Returns a `[channels]` mask, False for channels whose moments the data do not determine.

        These are channels with the usual variance that are nearly constant here, and all channels of a tensor with few
        values.
        """
        smallest = np.maximum(_SMALLEST_SHARE * np.asarray(variance, np.float64), _ROUNDING * np.square(self.mean))
        return (self.variance > smallest) & (self.count >= _MIN_VALUES)


def moment_reader(
    model: KerasModel, tensors: Mapping[str, Sequence[str]], batches: Callable[[], Iterable[Any]]
) -> Callable[[], dict[str, ChannelMoments]]:
    """Returns a function that computes the current moments of tensors of a model.

    Args:
        model: A Keras model.
        tensors: Any name to the tensors over which its moments are averaged.
        batches: Function that returns an iterator of batches, inputs of the model.

    Returns:
        A function without arguments that returns a dict of `ChannelMoments` by these names.
    """
    names = [name for group in tensors.values() for name in group]
    tensor_model = framework_of(model).tensor_model(model, names)
    read = by_whole_batches(tensor_model)

    @tf.function(reduce_retracing=fixed_batch_size(tensor_model) is None)
    def powers(chunk):
        outputs = [tf.cast(output, tf.float32) for output in tf.nest.flatten(read(chunk))]
        return [
            (
                tf.stack([tf.reduce_mean(power, axis=range(power.shape.rank - 1)) for power in (x, tf.square(x))]),
                tf.size(x) // tf.shape(x)[-1],
            )
            for x in outputs
        ]

    def moments():
        sizes, parts = [], []
        for chunk in batches():
            sizes.append(num_samples(chunk))
            parts.append([(np.asarray(pair, np.float64), int(count)) for pair, count in powers(chunk)])
        averages = iter(
            [
                (np.average([pair for pair, _ in batch], axis=0, weights=sizes), sum(count for _, count in batch))
                for batch in zip(*parts, strict=True)
            ]
        )
        result = {}
        for name, group in tensors.items():
            calls = [next(averages) for _ in group]
            mean, power = np.mean([pair for pair, _ in calls], axis=0)
            result[name] = ChannelMoments(mean, np.maximum(power - mean**2, 0), sum(count for _, count in calls))
        return result

    return moments
