"""Integer operations in TensorFlow, with the roundings of the TFLite runtime.

Codes are whole numbers in float32 tensors. Products are computed in float64, which is exact. The formulas are in
`tfmp.graph.IntegerOperation`; the results here are not yet clipped.

TensorFlow's graph optimizer multiplies by the reciprocal of a constant divisor. Divisions whose float32 result matters
are therefore computed in float64, where this changes nothing. Do not compile with XLA: it rounds a product and a sum in
one step, which changes some ties of `mean`.
"""

from tfmp.ops.integer.activation import activation
from tfmp.ops.integer.convolutions import multiplier, product
from tfmp.ops.integer.data_movement import pad, resize, slice_codes
from tfmp.ops.integer.elementwise import add, clip, dequantize, multiply, quantize, softmax
from tfmp.ops.integer.numbers import NUMBERS, compute_numbers
from tfmp.ops.integer.pooling import average_pool, max_pool, mean

__all__ = [
    "NUMBERS",
    "activation",
    "add",
    "average_pool",
    "clip",
    "compute_numbers",
    "dequantize",
    "max_pool",
    "mean",
    "multiplier",
    "multiply",
    "pad",
    "product",
    "quantize",
    "resize",
    "slice_codes",
    "softmax",
]
