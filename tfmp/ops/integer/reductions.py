"""Sums, means and extremes of codes over axes."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmp.graph import Grid
from tfmp.ops.integer.operation import Computation, Operation


def reduced(
    x: tf.Tensor, *, axes: Sequence[int], keepdims: bool, input_grid: Grid, grid: Grid, averages: bool
) -> tf.Tensor:
    """Computes the sum over axes, or the mean if `averages`."""
    count = int(np.prod([x.shape[axis] for axis in axes]))
    scale = np.float32(np.float32(input_grid.scale) / np.float32(grid.scale))
    if averages:
        scale = scale * np.float32(1 / np.float32(count))
    offset = np.float32(grid.zero_point) - np.float32(count * input_grid.zero_point) * scale
    total = tf.reduce_sum(tf.cast(x + input_grid.zero_point, tf.float64), axis=axes, keepdims=keepdims)
    return tf.round(tf.cast(total, tf.float32) * scale + offset) - grid.zero_point


def _sum(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    attributes, (input_grid,) = operation.attributes, operation.input_grids
    return reduced(
        tensors[0],
        axes=attributes["axes"],
        keepdims=attributes["keepdims"],
        input_grid=input_grid,
        grid=operation.grid,
        averages=operation.kind == "reduce_mean",
    )


def _extreme(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    reduce = tf.reduce_max if operation.kind == "reduce_max" else tf.reduce_min
    return reduce(tensors[0], axis=operation.attributes["axes"], keepdims=operation.attributes["keepdims"])


COMPUTATIONS: dict[str, Computation] = {
    **dict.fromkeys(("reduce_sum", "reduce_mean"), _sum),
    **dict.fromkeys(("reduce_max", "reduce_min"), _extreme),
}
