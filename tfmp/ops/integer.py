"""Integer operations, computed as the file's runtime computes them.

Codes are whole numbers held in float32 tensors, products are taken in float64, which is exact. Every formula is stated
with `tfmp.types.IntegerOperation`.
"""

import math

import numpy as np
import tensorflow as tf


def quantize(x, *, grid, low, high):
    """Codes of floating-point values."""
    return _clip(tf.round(x * np.float32(1 / np.float32(grid.scale))), low, high)


def dequantize(x, *, input_grid):
    """Values of codes."""
    return x * np.float32(input_grid.scale)


def product(x, kernel, bias, multiplier, *, kind, attributes, low, high):
    """A convolution, depthwise convolution or dense product of codes with its bias, brought to the output's codes.

    Args:
        x: Codes.
        kernel: Codes, in the layout of the kind.
        bias: `[out_channels]`, in units of the accumulator.
        multiplier: `[out_channels]` float32, from accumulator to output.
        kind: `"conv2d"`, `"depthwise_conv2d"` or `"dense"`.
        attributes: Of the operation.
        low: Smallest output code.
        high: Largest output code.
    """
    x, kernel = tf.cast(x, tf.float64), tf.cast(kernel, tf.float64)
    if kind == "dense":
        accumulator = tf.tensordot(x, kernel, axes=1)
    else:
        padding = attributes["padding"].upper()
        strides = [1, *attributes["strides"], 1]
        dilation = attributes.get("dilation", (1, 1))
        if kind == "conv2d":
            accumulator = _grouped_convolution(x, kernel, attributes.get("groups", 1), strides, padding, dilation)
        else:
            accumulator = tf.nn.depthwise_conv2d(x, kernel, _square(strides), padding, dilations=dilation)
            accumulator = accumulator[:, :: _skip(strides, 1), :: _skip(strides, 2)]
    accumulator = tf.cast(accumulator + tf.cast(bias, tf.float64), tf.float32)
    return _clip(tf.round(accumulator * multiplier), low, high)


def add(x, y, *, grids, grid, low, high):
    """Sum of two tensors of codes, each on its own grid, rounded half up."""
    ratios = [np.float32(np.float32(g.scale) / np.float32(grid.scale)) for g in grids]
    shift = 20 - math.floor(math.log2(max(ratios)))
    factors = [int(np.rint(np.float64(ratio) * 2.0**shift)) for ratio in ratios]
    total = sum(tf.cast(codes, tf.float64) * factor for codes, factor in zip((x, y), factors, strict=True))
    return _clip(tf.cast(tf.floor((total + 2.0 ** (shift - 1)) / 2.0**shift), tf.float32), low, high)


def mean(x, *, input_grid, grid, keepdims, low, high):
    """Mean over height and width."""
    count = x.shape[1] * x.shape[2]
    scale = np.float32(np.float32(input_grid.scale) / np.float32(grid.scale)) * np.float32(1 / np.float32(count))
    offset = np.float32(grid.zero_point) - np.float32(count * input_grid.zero_point) * scale
    total = tf.reduce_sum(x + input_grid.zero_point, axis=(1, 2), keepdims=keepdims)
    return _clip(tf.round(total * scale + offset) - grid.zero_point, low, high)


def average_pool(x, *, grid, attributes, low, high):
    """Mean over windows, on the grid of the input; the padding does not count."""
    pool, strides, padding = (attributes[key] for key in ("pool_size", "strides", "padding"))
    total, count = (
        tf.round(
            tf.nn.avg_pool2d(tf.pad(v, _margins(x, pool, strides, padding)), pool, strides, "VALID") * math.prod(pool)
        )
        for v in (tf.cast(x, tf.float64), tf.ones_like(x, tf.float64))
    )
    if padding == "valid" or not any(map(sum, _margins(x, pool, strides, padding)[1:3])):
        scale = np.float32(grid.scale)
        multiplier = np.float32(np.float32(scale * np.float32(1 / np.float32(math.prod(pool)))) / scale)
        return _clip(tf.round(tf.cast(total, tf.float32) * multiplier), low, high)
    stored = (total + count * grid.zero_point) / count
    rounded = tf.sign(stored) * tf.floor(tf.abs(stored) + 0.5)
    return _clip(tf.cast(rounded, tf.float32) - grid.zero_point, low, high)


def max_pool(x, *, attributes, low, high):
    """Maximum over windows."""
    pooled = tf.nn.max_pool2d(x, attributes["pool_size"], attributes["strides"], attributes["padding"].upper())
    return _clip(pooled, low, high)


def pad(x, *, attributes):
    """Zeros around height and width."""
    return tf.pad(x, ((0, 0), *attributes["paddings"], (0, 0)))


def softmax(x, *, input_grid, grid, low, high):
    """Probabilities over the last axis."""
    probabilities = tf.nn.softmax(tf.cast(x, tf.float64) * input_grid.scale)
    return _clip(tf.cast(tf.round(probabilities / grid.scale), tf.float32), low, high)


def _clip(codes, low, high):
    return tf.clip_by_value(codes, float(low), float(high))


def _grouped_convolution(x, kernel, groups, strides, padding, dilation):
    # Training kernels for groups exist on few devices; the groups one by one run on all.
    parts = [
        tf.nn.conv2d(part, filters, strides, padding, dilations=dilation)
        for part, filters in zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    ]
    return parts[0] if groups == 1 else tf.concat(parts, -1)


def _square(strides):
    """The strides that depthwise kernels accept: equal ones."""
    return strides if strides[1] == strides[2] else [1, 1, 1, 1]


def _skip(strides, axis):
    return 1 if strides[1] == strides[2] else strides[axis]


def _margins(x, pool, strides, padding):
    if padding == "valid":
        return ((0, 0),) * 4
    margins = []
    for size, window, stride in zip(x.shape[1:3], pool, strides, strict=True):
        missing = max(0, (-(-size // stride) - 1) * stride + window - size)
        margins.append((missing // 2, missing - missing // 2))
    return ((0, 0), *margins, (0, 0))
