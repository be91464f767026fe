"""What an integer operation computes with besides its input tensors."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Operation:
    """An integer operation whose tensors are TensorFlow's.

    Args:
        kind: Kind of the operation, as `tfmp.graph.IntegerOperation` has it.
        input_grids: `tfmp.graph.Grid` of each input, None for numbers.
        grid: Grid of the output, None for numbers.
        attributes: All attributes, defaults included.
        output_shape: Shape of the output, the batch first.
        output_dtype: Type of an output of numbers.
        constants: Constants by name.
    """

    kind: str
    input_grids: Sequence[Any]
    grid: Any
    attributes: Mapping[str, Any]
    output_shape: Sequence[Any]
    output_dtype: str
    constants: Mapping[str, tf.Tensor]


# From the input tensors and the operation to the output, not yet clipped.
Computation = Callable[[Sequence[tf.Tensor], Operation], tf.Tensor]
