"""Integer operations in TensorFlow, with the roundings of the TFLite runtime.

Codes are whole numbers in float32 tensors. Products are computed in float64, which is exact. The formulas are at
the top of the files of `tfmp/operators` of the same names; the results here are not yet clipped.

TensorFlow's graph optimizer multiplies by the reciprocal of a constant divisor. Divisions whose float32 result matters
are therefore computed in float64, where this changes nothing. Do not compile with XLA: it rounds a product and a sum in
one step, which changes some ties of `mean`.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfmp.graph.targets import FIXED_POINT
from tfmp.ops.integer import (
    activations,
    comparisons,
    convolutions,
    data_movement,
    elementwise,
    fixed_point,
    pooling,
    quantization,
    reductions,
    resizing,
    unary_functions,
)
from tfmp.ops.integer.convolutions import multiplier
from tfmp.ops.integer.operation import Computation, Operation
from tfmp.ops.integer.quantization import clip

# Kind of an integer operation to what computes it; a new one is an entry in the file of its family.
COMPUTATIONS: dict[str, Computation] = {
    **quantization.COMPUTATIONS,
    **convolutions.COMPUTATIONS,
    **activations.COMPUTATIONS,
    **elementwise.COMPUTATIONS,
    **data_movement.COMPUTATIONS,
    **unary_functions.COMPUTATIONS,
    **resizing.COMPUTATIONS,
    **pooling.COMPUTATIONS,
    **reductions.COMPUTATIONS,
    **comparisons.COMPUTATIONS,
}

FIXED_POINT_COMPUTATIONS: dict[str, Computation] = {**COMPUTATIONS, **fixed_point.COMPUTATIONS}


def compute(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    """Computes an operation in the arithmetic of its runtime, its attribute `arithmetic`; not yet clipped."""
    is_fixed_point = operation.attributes["arithmetic"] == FIXED_POINT
    return (FIXED_POINT_COMPUTATIONS if is_fixed_point else COMPUTATIONS)[operation.kind](tensors, operation)


__all__ = ["COMPUTATIONS", "Computation", "Operation", "clip", "compute", "multiplier"]
