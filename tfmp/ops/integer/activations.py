"""Activation functions on codes, and softmax."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.graph import Grid
from tfmp.graph.runtime_limits import LEAKY_RELU_BITS
from tfmp.ops.integer.operation import Computation, Operation


def activation(x: tf.Tensor, *, input_grid: Grid, grid: Grid, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Applies a function to every code, by a table of all codes."""
    codes = np.arange(input_grid.low, input_grid.high + 1)
    table = activation_table(codes, input_grid=input_grid, grid=grid, attributes=attributes)
    return tf.gather(tf.constant(table, tf.float32), tf.cast(x, tf.int32) - input_grid.low)


def activation_table(codes: np.ndarray, *, input_grid: Grid, grid: Grid, attributes: Mapping[str, Any]) -> np.ndarray:
    """Returns the output codes of an array of input codes, before clipping.

    The functions are computed in float64 and rounded to float32 once; every other step is in float32.
    """
    function, slope = attributes["function"], attributes.get("negative_slope", 0.0)
    input_scale, scale = np.float32(input_grid.scale), np.float32(grid.scale)
    if function == "leaky_relu":
        ratio = input_scale / scale
        one = 2**LEAKY_RELU_BITS
        factors = np.rint(np.float32(one) * np.array([ratio * np.float32(slope), ratio])).astype(np.int64)
        return (codes * factors[(codes >= 0).astype(int)] + one // 2) >> LEAKY_RELU_BITS
    x = codes.astype(np.float32) * input_scale
    if function == "gelu":
        y = _gelu(x, approximate=attributes.get("approximate", False)) * (np.float32(1) / scale)
        return np.sign(y) * np.floor(np.abs(y) + np.float32(0.5))
    y = {"sigmoid": _sigmoid, "tanh": _rounded(np.tanh), "elu": _elu, "square": np.square}[function](x)
    return np.rint(y * (np.float32(1) / scale) + np.float32(grid.zero_point)) - grid.zero_point


def _rounded(function):
    return lambda x: function(x.astype(np.float64)).astype(np.float32)


def _sigmoid(x):
    return _rounded(lambda x: 0.5 + 0.5 * np.tanh(0.5 * x))(x)


def _elu(x):
    return np.where(x < 0, _rounded(np.expm1)(np.minimum(x, 0)), x)


def _gelu(x, approximate):
    half = np.float32(0.5) * x
    if approximate:
        cubic = x + np.float32(0.044715) * x * x * x
        return half * (np.float32(1) + _rounded(np.tanh)(np.float32(math.sqrt(2 / math.pi)) * cubic))
    return half * _rounded(np.vectorize(math.erfc, otypes=[np.float64]))(x * np.float32(-math.sqrt(0.5)))


def softmax(x: tf.Tensor, *, input_grid: Grid, grid: Grid) -> tf.Tensor:
    """Computes the softmax over the last axis."""
    probabilities = tf.nn.softmax(tf.cast(x, tf.float64) * input_grid.scale)
    return tf.cast(tf.round(probabilities / grid.scale), tf.float32)


def _activation(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    (grid,) = operation.input_grids
    return activation(tensors[0], input_grid=grid, grid=operation.grid, attributes=operation.attributes)


COMPUTATIONS: dict[str, Computation] = {
    "activation": _activation,
    "softmax": lambda tensors, operation: softmax(tensors[0], input_grid=operation.input_grids[0], grid=operation.grid),
}
