"""Operations that move codes."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmp.ops.integer.operation import Computation


def pad(x: tf.Tensor, *, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Pads height and width with zeros."""
    return tf.pad(x, ((0, 0), *attributes["paddings"], (0, 0)))


def slice_codes(x: tf.Tensor, *, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Cuts a box out of every example."""
    ends = [begin + size for begin, size in zip(attributes["begin"], attributes["size"], strict=True)]
    return x[:, *map(slice, attributes["begin"], ends)]


COMPUTATIONS: dict[str, Computation] = {
    "pad": lambda tensors, operation: pad(tensors[0], attributes=operation.attributes),
    "slice": lambda tensors, operation: slice_codes(tensors[0], attributes=operation.attributes),
    "gather": lambda tensors, operation: tf.gather(
        tensors[0], operation.attributes["indices"], axis=operation.attributes["axis"]
    ),
    "transpose": lambda tensors, operation: tf.transpose(tensors[0], operation.attributes["permutation"]),
    "reshape": lambda tensors, operation: tf.reshape(tensors[0], (-1, *operation.output_shape[1:])),
    "concatenate": lambda tensors, operation: tf.concat(tensors, operation.attributes["axis"]),
}
