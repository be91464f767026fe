"""Functions of one tensor of codes, by a table."""

from collections.abc import Sequence

import tensorflow as tf

from tfmp.graph.runtime_limits import INT8_LOW
from tfmp.ops.integer.operation import Computation, Operation


def lookup(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    """Reads the output of every code from the table of stored outputs."""
    (grid,) = operation.input_grids
    positions = tf.cast(tensors[0], tf.int32) + (grid.zero_point - INT8_LOW)
    return tf.gather(tf.cast(operation.constants["table"], tf.float32), positions) - operation.grid.zero_point


COMPUTATIONS: dict[str, Computation] = {"lookup": lookup}
