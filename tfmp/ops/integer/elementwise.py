"""Sums and products of codes."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmp.graph import Grid
from tfmp.graph.runtime_limits import SUM_BITS
from tfmp.ops.integer.operation import Computation, Operation


def add(x: tf.Tensor, y: tf.Tensor, *, grids: Sequence[Grid], grid: Grid, sign: int = 1) -> tf.Tensor:
    """Adds, or with `sign=-1` subtracts, two tensors of codes, each on its own grid, rounded half up."""
    ratios = [np.float32(np.float32(g.scale) / np.float32(grid.scale)) for g in grids]
    shift = SUM_BITS - math.floor(math.log2(max(ratios)))
    first, second = (int(np.rint(np.float64(ratio) * 2.0**shift)) for ratio in ratios)
    total = tf.cast(x, tf.float64) * first + tf.cast(y, tf.float64) * (sign * second)
    return tf.cast(tf.floor((total + 2.0 ** (shift - 1)) / 2.0**shift), tf.float32)


def multiply(x: tf.Tensor, y: tf.Tensor, *, grids: Sequence[Grid], grid: Grid) -> tf.Tensor:
    """Multiplies two tensors of codes, each on its own grid."""
    first, second, scale = (np.float32(each.scale) for each in (*grids, grid))
    return tf.round(x * y * np.float32(first * second / scale))


def _sum(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    sign = 1 if operation.kind == "add" else -1
    return add(*tensors, grids=operation.input_grids, grid=operation.grid, sign=sign)


COMPUTATIONS: dict[str, Computation] = {
    "add": _sum,
    "subtract": _sum,
    "maximum": lambda tensors, operation: tf.maximum(*tensors),
    "minimum": lambda tensors, operation: tf.minimum(*tensors),
    "multiply": lambda tensors, operation: multiply(*tensors, grids=operation.input_grids, grid=operation.grid),
}
