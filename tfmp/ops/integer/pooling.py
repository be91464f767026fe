"""Pooling on codes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.graph import Grid
from tfmp.graph.runtime_limits import LARGEST_FAST_WINDOW
from tfmp.ops.integer.convolutions import margins
from tfmp.ops.integer.operation import Computation, Operation
from tfmp.ops.integer.reductions import reduced


def mean(x: tf.Tensor, *, input_grid: Grid, grid: Grid, keepdims: bool) -> tf.Tensor:
    """Computes the mean over height and width."""
    return reduced(x, axes=(1, 2), keepdims=keepdims, input_grid=input_grid, grid=grid, averages=True)


def average_pool(x: tf.Tensor, *, grid: Grid, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Computes the mean over windows, on the grid of the input; padding does not count."""
    total, count, pads = _window_sums(x, attributes)
    if pads or math.prod(attributes["pool_size"]) > LARGEST_FAST_WINDOW:
        return _mean_of_stored(total, count, grid)
    scale = np.float32(grid.scale)
    factor = np.float32(np.float32(scale * np.float32(1 / np.float32(math.prod(attributes["pool_size"])))) / scale)
    return tf.round(tf.cast(total, tf.float32) * factor)


def average_of_stored(x: tf.Tensor, *, grid: Grid, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Computes the same with the zero point on, rounded half away from zero."""
    total, count, _ = _window_sums(x, attributes)
    return _mean_of_stored(total, count, grid)


def _window_sums(x, attributes):
    """Returns the sum and the number of values in every window, and whether a window reaches beyond the edge."""
    pool, strides = attributes["pool_size"], attributes["strides"]
    around = margins(x, pool, attributes)
    total, count = (
        tf.round(tf.nn.avg_pool2d(tf.pad(values, around), pool, strides, "VALID") * math.prod(pool))
        for values in (tf.cast(x, tf.float64), tf.ones_like(x, tf.float64))
    )
    return total, count, any(map(sum, around))


def _mean_of_stored(total, count, grid):
    total, count = tf.cast(total, tf.int32), tf.cast(count, tf.int32)
    stored = total + count * grid.zero_point
    rounded = tf.sign(stored) * ((2 * tf.abs(stored) + count) // (2 * count))
    return tf.cast(rounded - grid.zero_point, tf.float32)


def max_pool(x: tf.Tensor, *, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Computes the maximum over windows."""
    return tf.nn.max_pool2d(x, attributes["pool_size"], attributes["strides"], attributes["padding"].upper())


def _mean(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    (grid,) = operation.input_grids
    return mean(tensors[0], input_grid=grid, grid=operation.grid, keepdims=operation.attributes["keepdims"])


COMPUTATIONS: dict[str, Computation] = {
    "mean": _mean,
    "average_pool": lambda tensors, operation: average_pool(
        tensors[0], grid=operation.grid, attributes=operation.attributes
    ),
    "max_pool": lambda tensors, operation: max_pool(tensors[0], attributes=operation.attributes),
}
