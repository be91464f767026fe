"""Casts, comparisons and arg-max, which work on numbers instead of codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

_COMPARISONS = {
    "greater": tf.greater,
    "greater_equal": tf.greater_equal,
    "less": tf.less,
    "less_equal": tf.less_equal,
    "equal": tf.equal,
    "not_equal": tf.not_equal,
}
_LOGICAL = {"logical_and": tf.logical_and, "logical_or": tf.logical_or, "logical_not": tf.logical_not}
_INDICES = {"arg_max": tf.argmax, "arg_min": tf.argmin}
NUMBERS = ("cast", *_COMPARISONS, *_LOGICAL, *_INDICES)


def compute_numbers(kind: str, tensors: Sequence[tf.Tensor], *, attributes: Mapping[str, Any], dtype: str) -> tf.Tensor:
    """Computes an operation of `NUMBERS`; attributes as in `tfmp.graph.IntegerOperation`.

    Args:
        kind: Kind of the operation.
        tensors: Its inputs.
        attributes: Attributes of the operation.
        dtype: Type of its output.
    """
    if kind in _LOGICAL:
        return _LOGICAL[kind](*(tf.cast(tensor, tf.bool) for tensor in tensors))
    if kind in _INDICES:
        index = _INDICES[kind](tensors[0], attributes["axis"], output_type=dtype)
        return tf.expand_dims(index, attributes["axis"]) if attributes["keepdims"] else index
    if kind in _COMPARISONS:
        if "operand" in attributes:
            operand = tf.constant(attributes["operand"], tensors[0].dtype)
            tensors = [operand, *tensors] if attributes["operand_first"] else [*tensors, operand]
        return _COMPARISONS[kind](*tensors)
    return tf.cast(tensors[0], dtype)
