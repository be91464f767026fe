"""Conversions between numbers and codes, and clipping."""

import numpy as np
import tensorflow as tf

from tfmp.graph import Grid
from tfmp.ops.integer.operation import Computation


def clip(codes: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Clips codes to `low` and `high`."""
    return tf.clip_by_value(codes, float(low), float(high))


def quantize(x: tf.Tensor, *, grid: Grid) -> tf.Tensor:
    """Returns the codes of numbers."""
    return tf.round(tf.cast(x, tf.float32) * np.float32(1 / np.float32(grid.scale)))


def dequantize(x: tf.Tensor, *, input_grid: Grid) -> tf.Tensor:
    """Returns the numbers of codes."""
    return x * np.float32(input_grid.scale)


COMPUTATIONS: dict[str, Computation] = {
    "embedding": lambda tensors, operation: (
        tf.gather(tf.cast(operation.constants["table"], tf.float32), tensors[0]) - operation.grid.zero_point
    ),
    "quantize": lambda tensors, operation: quantize(tensors[0], grid=operation.grid),
    "dequantize": lambda tensors, operation: dequantize(tensors[0], input_grid=operation.input_grids[0]),
}
