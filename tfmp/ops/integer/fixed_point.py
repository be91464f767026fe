"""Integer operations with the roundings of TensorFlow Lite for Microcontrollers, which computes without floating point.

A factor is an integer of 31 bits times a power of two. A product with it is rounded twice: half up to 31 fractional
bits less, then half away from zero by the power of two. Integers are int64, in NumPy or in TensorFlow.

Reference: gemmlowp, https://github.com/google/gemmlowp/blob/master/doc/quantization.md, and the portable kernels of
tflite-micro, with which `tests/tflite/operators_test.py` compares every operation.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.graph import Grid
from tfmp.graph.runtime_limits import FIXED_POINT_SUM_BITS
from tfmp.ops.integer.convolutions import accumulators
from tfmp.ops.integer.gemmlowp import divided, high_product, negative_exponential, reciprocal, sigmoid, tanh
from tfmp.ops.integer.operation import Computation, Operation
from tfmp.ops.integer.pooling import average_of_stored

_EXPONENT_BIAS, _FRACTION_BITS = 1023, 52  # of float64
_SIGMOID_BITS = 4  # integer bits of the input of sigmoid and tanh
_SOFTMAX_BITS, _SUM_BITS = 5, 12  # integer bits of the differences and of the sum of a softmax


def fixed_point(factor: float) -> tuple[int, int]:
    """Returns a positive factor as an integer of 31 bits and an exponent: `integer * 2**(exponent - 31)`."""
    fraction, exponent = math.frexp(factor)
    integer = math.floor(fraction * 2**31 + 0.5)
    if integer == 2**31:
        integer, exponent = integer // 2, exponent + 1
    return (integer, exponent) if exponent >= -31 else (0, 0)


def scaled(values: Any, factor: float) -> Any:
    """Returns int64 values, an array or a tensor, times a positive factor, rounded as in the runtime."""
    return _rounded(values, *fixed_point(factor))


def _rounded(values, integer, exponent):
    return divided(high_product(values * 2 ** max(exponent, 0), integer), 2 ** max(-exponent, 0))


def scaled_by_channel(values: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Returns int64 values times positive float64 factors, `[channels]`, rounded as in the runtime."""
    exponent = tf.bitcast(factors, tf.int64) // 2**_FRACTION_BITS - (_EXPONENT_BIAS - 1)
    integer = tf.cast(tf.floor(factors * 2.0 ** tf.cast(31 - exponent, tf.float64) + 0.5), tf.int64)
    overflows, vanishes = integer == 2**31, exponent < -31
    integer = tf.where(vanishes, tf.zeros_like(integer), tf.where(overflows, integer // 2, integer))
    exponent = tf.where(vanishes, tf.zeros_like(exponent), tf.where(overflows, exponent + 1, exponent))
    return divided(high_product(values * _power(tf.maximum(exponent, 0)), integer), _power(tf.maximum(-exponent, 0)))


def _power(exponent):
    return tf.bitwise.left_shift(tf.ones_like(exponent), exponent)


def _scale(grid: Grid) -> float:
    return float(np.float32(grid.scale))


def _product(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    kernel, bias, kernel_scale = (operation.constants[name] for name in ("kernel", "bias", "kernel_scale"))
    total = accumulators(tensors[0], kernel, bias, kind=operation.kind, attributes=operation.attributes)
    scale = tf.cast(tf.cast(kernel_scale, tf.float32), tf.float64)
    factors = _scale(operation.input_grids[0]) * scale / _scale(operation.grid)
    return _codes(scaled_by_channel(tf.cast(total, tf.int64), factors))


def _sum(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    one, twice = 2**FIXED_POINT_SUM_BITS, 2 * max(map(_scale, operation.input_grids))
    first, second = (
        scaled(tf.cast(tensor, tf.int64) * one, _scale(grid) / twice)
        for tensor, grid in zip(tensors, operation.input_grids, strict=True)
    )
    total = first + second if operation.kind == "add" else first - second
    return _codes(scaled(total, twice / (one * _scale(operation.grid))))


def _multiply(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    first, second = operation.input_grids
    products = tf.cast(tensors[0], tf.int64) * tf.cast(tensors[1], tf.int64)
    return _codes(scaled(products, _scale(first) * _scale(second) / _scale(operation.grid)))


def _mean(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    (x,), (grid,) = tensors, operation.input_grids
    count = x.shape[1] * x.shape[2]
    total = tf.reduce_sum(tf.cast(x, tf.int64), axis=(1, 2), keepdims=operation.attributes["keepdims"])
    integer, exponent = fixed_point(_scale(grid) / _scale(operation.grid))
    shift = min(count.bit_length() - 1, 31 + exponent)
    return _codes(_rounded(total, integer * 2**shift // count, exponent - shift))


def _average_pool(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    return average_of_stored(tensors[0], grid=operation.grid, attributes=operation.attributes)


def _activation(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    (grid,) = operation.input_grids
    codes = np.arange(grid.low, grid.high + 1, dtype=np.int64)
    table = activation_table(codes, input_grid=grid, operation=operation)
    return tf.gather(tf.constant(table, tf.float32), tf.cast(tensors[0], tf.int32) - grid.low)


def activation_table(codes: np.ndarray, *, input_grid: Grid, operation: Operation) -> np.ndarray:
    """Returns the output codes of an array of input codes, before clipping."""
    function, grid = operation.attributes["function"], operation.grid
    input_scale, scale = np.float32(input_grid.scale), np.float32(grid.scale)
    if function == "leaky_relu":
        above = float(input_scale) / float(scale)  # the runtime divides in double precision
        below = float(input_scale) * float(np.float32(operation.attributes["negative_slope"])) / float(scale)
        falling = scaled(codes, below) if below > 0 else -scaled(codes, -below)
        return np.where(codes >= 0, scaled(codes, above), falling)
    if function == "square":
        return scaled(codes * codes, _scale(input_grid) ** 2 / _scale(grid))
    if function == "elu":
        x = codes.astype(np.float32) * input_scale
        exponential = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32)
        y = np.where(x < 0, exponential - np.float32(1), x)
        y *= np.float32(1) / scale
        return np.sign(y) * np.floor(np.abs(y) + np.float32(0.5))
    integer, exponent = fixed_point(float(input_scale) * 2.0 ** (31 - _SIGMOID_BITS))
    radius = _radius(_SIGMOID_BITS, exponent)
    inside = np.clip(codes, 1 - radius, radius - 1)
    rescaled = _rounded(inside, integer, exponent)
    if function == "sigmoid":
        outputs, low, high = divided(sigmoid(rescaled), 2**23), 0, 255
    else:
        outputs, low, high = divided(tanh(rescaled), 2**24), -128, 127
    return np.select([codes <= -radius, codes >= radius], [low, high], np.clip(outputs, low, high))


def _radius(integer_bits: int, exponent: int) -> int:
    """Returns the first code whose scaled value needs more integer bits; further ones have the outermost output."""
    return math.floor((2**integer_bits - 1) * 2 ** (31 - integer_bits) / 2**exponent)


def _softmax(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    (grid,) = operation.input_grids
    integer, exponent = fixed_point(min(_scale(grid) * 2.0 ** (31 - _SOFTMAX_BITS), 2.0**31 - 1))
    radius = _radius(_SOFTMAX_BITS, exponent)
    differences = np.minimum(np.arange(256, dtype=np.int64), radius)  # from the maximum, downwards
    exponentials = negative_exponential(_rounded(-differences, integer, exponent), _SOFTMAX_BITS)
    table = tf.constant(np.where(np.arange(256) <= radius, exponentials, 0))
    x = tf.cast(tensors[0], tf.int64)
    powers = tf.gather(table, tf.reduce_max(x, -1, keepdims=True) - x)
    total = tf.reduce_sum(divided(powers, 2**_SUM_BITS), -1, keepdims=True)
    # The sum has 31 bits with the integer bits; its highest bit says by how many bits it exceeds one.
    highest = tf.bitcast(tf.cast(total, tf.float64), tf.int64) // 2**_FRACTION_BITS - _EXPONENT_BIAS
    fraction = total * _power(31 - highest) - 2**31
    shift = highest - (31 - _SUM_BITS) + 31 - 8
    return _codes(divided(high_product(reciprocal(fraction), powers), _power(shift)))


def _quantize(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    y = tf.cast(tf.cast(tensors[0], tf.float32), tf.float64) / _scale(operation.grid)
    y = tf.cast(y, tf.float32)
    return tf.sign(y) * tf.floor(tf.abs(y) + 0.5)


def _codes(integers):
    return tf.cast(integers, tf.float32)


# The kinds whose results differ from those in `tfmp.ops.integer.COMPUTATIONS`.
COMPUTATIONS: dict[str, Computation] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense"), _product),
    **dict.fromkeys(("add", "subtract"), _sum),
    "multiply": _multiply,
    "mean": _mean,
    "average_pool": _average_pool,
    "activation": _activation,
    "softmax": _softmax,
    "quantize": _quantize,
}
