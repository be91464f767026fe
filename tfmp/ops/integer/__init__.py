"""Integer operations in TensorFlow, with the roundings of the TFLite runtime.

Codes are whole numbers held in float32 tensors, products are taken in float64, which is exact. Every formula is stated
with `tfmp.graph.IntegerOperation`; the results here are not yet clipped.

TensorFlow's graph optimizer multiplies by the reciprocal of a constant divisor: divisions whose float32 result matters
are made in float64, where that changes nothing. XLA also rounds a product and a sum at once, which puts some ties of
`mean` on the other side: do not compile with it.
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
