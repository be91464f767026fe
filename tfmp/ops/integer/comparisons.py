"""Casts, comparisons and arg-max, which work on numbers instead of codes."""

from collections.abc import Sequence

import tensorflow as tf

from tfmp.ops.integer.operation import Computation, Operation

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


def compute_numbers(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    """Computes a cast, a comparison, a logical operation or the position of an extreme."""
    kind, attributes, dtype = operation.kind, operation.attributes, operation.output_dtype
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


COMPUTATIONS: dict[str, Computation] = dict.fromkeys(("cast", *_COMPARISONS, *_LOGICAL, *_INDICES), compute_numbers)
