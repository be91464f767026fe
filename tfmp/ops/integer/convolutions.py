"""Convolutions and dense layers on codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.graph import Grid
from tfmp.ops.integer.operation import Computation, Operation


def multiplier(kernel_scale: Tensor, *, input_grid: Grid, grid: Grid) -> tf.Tensor:
    """Returns the float32 factor per output channel from accumulator to output, rounded like the runtime."""
    product = tf.cast(kernel_scale, tf.float32) * np.float32(input_grid.scale)
    return tf.cast(tf.cast(product, tf.float64) / np.float64(grid.scale), tf.float32)


def accumulators(x: tf.Tensor, kernel: Tensor, bias: Tensor, *, kind: str, attributes: Mapping[str, Any]) -> tf.Tensor:
    """Computes a convolution or dense layer on codes, with bias, before requantization: integers in float64.

    Args:
        x: Codes.
        kernel: Constant codes, in the layout of the kind.
        bias: `[out_channels]`, in units of the accumulator.
        kind: `"conv2d"`, `"depthwise_conv2d"`, `"conv2d_transpose"` or `"dense"`.
        attributes: All attributes of the operation.
    """
    x, kernel = tf.cast(x, tf.float64), tf.cast(kernel, tf.float64)
    if kind == "dense":
        accumulator = tf.tensordot(x, kernel, axes=1)
    elif kind == "conv2d":
        accumulator = _grouped_convolution(x, kernel, attributes)
    elif kind == "conv2d_transpose":
        accumulator = _transposed_convolution(x, kernel, attributes)
    else:
        accumulator = _depthwise_convolution(x, kernel, attributes)
    return accumulator + tf.cast(bias, tf.float64)


def _grouped_convolution(x, kernel, attributes):
    # Few devices have training kernels for groups; one convolution per group runs on all.
    groups, strides, padding = attributes["groups"], attributes["strides"], attributes["padding"].upper()
    parts = [
        tf.nn.conv2d(part, filters, strides, padding, dilations=attributes["dilation"])
        for part, filters in zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    ]
    return parts[0] if groups == 1 else tf.concat(parts, -1)


def _depthwise_convolution(x, kernel, attributes):
    """Supports any strides and dilation; TensorFlow needs equal strides, and strides 1 with dilation."""
    strides, dilation = tuple(attributes["strides"]), tuple(attributes["dilation"])
    x = tf.pad(x, margins(x, kernel.shape[:2], attributes))
    if strides[0] == strides[1] and dilation == (1, 1):
        return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), "VALID")
    everywhere = tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "VALID", dilations=dilation)
    return everywhere[:, :: strides[0], :: strides[1]]


def _transposed_convolution(x, kernel, attributes):
    strides, same = attributes["strides"], attributes["padding"] == "same"
    reaches = [0 if same else max(0, size - stride) for size, stride in zip(kernel.shape[:2], strides, strict=True)]
    sizes = [size * stride + reach for size, stride, reach in zip(x.shape[1:3], strides, reaches, strict=True)]
    shape = (tf.shape(x)[0], *sizes, kernel.shape[2])
    return tf.nn.conv2d_transpose(x, kernel, shape, strides, attributes["padding"].upper())


def margins(x: tf.Tensor, window: Sequence[int], attributes: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Returns the padding of `padding="same"`; an odd row or column is at the bottom or right."""
    around = [(0, 0)] * 4
    if attributes["padding"] == "same":
        for axis in (0, 1):
            size, stride = x.shape[axis + 1], attributes["strides"][axis]
            reach = (window[axis] - 1) * attributes["dilation"][axis] + 1
            missing = max(0, (-(-size // stride) - 1) * stride + reach - size)
            around[axis + 1] = (missing // 2, missing - missing // 2)
    return around


def _product(tensors: Sequence[tf.Tensor], operation: Operation) -> tf.Tensor:
    kernel, bias, scale = (operation.constants[name] for name in ("kernel", "bias", "kernel_scale"))
    factor = multiplier(scale, input_grid=operation.input_grids[0], grid=operation.grid)
    total = accumulators(tensors[0], kernel, bias, kind=operation.kind, attributes=operation.attributes)
    return tf.round(tf.cast(total, tf.float32) * factor)


COMPUTATIONS: dict[str, Computation] = dict.fromkeys(
    ("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense"), _product
)
