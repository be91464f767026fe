"""Bilinear resizing of codes."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmp.graph.runtime_limits import RESIZE_BITS
from tfmp.ops.integer.operation import Computation


def resize(x: tf.Tensor, *, size: Sequence[int]) -> tf.Tensor:
    """Resizes to another height and width by bilinear interpolation, rounded half up."""
    one = 2**RESIZE_BITS
    x = tf.cast(x, tf.float64)
    for axis in (2, 1):
        low, high, weight = _neighbours(x.shape[axis], size[axis - 1])
        weight = weight.reshape(-1, *(1,) * (3 - axis))
        x = tf.gather(x, low, axis=axis) * (one - weight) + tf.gather(x, high, axis=axis) * weight
    return tf.cast(tf.floor(x / one**2 + 0.5), tf.float32)


def _neighbours(source, target):
    """Returns the source pixels before and after the centre of every target pixel, and the weight of the latter."""
    scale = np.float32(source) / np.float32(target)
    centres = np.arange(target, dtype=np.float32) * scale + (np.float32(0.5) * scale - np.float32(0.5))
    centres = np.clip(centres, np.float32(0), np.float32(source - 1))
    low = centres.astype(np.int32)
    weight = np.rint((centres - low.astype(np.float32)) * np.float32(2**RESIZE_BITS))
    return low, np.minimum(low + 1, source - 1), weight.astype(np.float64)


COMPUTATIONS: dict[str, Computation] = {
    "depth_to_space": lambda tensors, operation: tf.nn.depth_to_space(tensors[0], operation.attributes["block_size"]),
    "space_to_depth": lambda tensors, operation: tf.nn.space_to_depth(tensors[0], operation.attributes["block_size"]),
    "resize": lambda tensors, operation: resize(tensors[0], size=operation.output_shape[1:3]),
}
