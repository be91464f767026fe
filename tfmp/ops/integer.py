"""Integer operations, computed as the file's runtime computes them.

Codes are whole numbers held in float32 tensors, products are taken in float64, which is exact. Every formula is stated
with `tfmp.types.IntegerOperation`; the results here are not yet clipped.

TensorFlow's graph optimizer multiplies by the reciprocal of a constant divisor: divisions whose float32 result matters
are made in float64, where that changes nothing. XLA also rounds a product and a sum at once, which puts some ties of
`mean` on the other side: do not compile with it.
"""

import math

import numpy as np
import tensorflow as tf


def clip(codes, low, high):
    """Codes from `low` to `high`."""
    return tf.clip_by_value(codes, float(low), float(high))


def quantize(x, *, grid):
    """Codes of floating-point values."""
    return tf.round(x * np.float32(1 / np.float32(grid.scale)))


def dequantize(x, *, input_grid):
    """Values of codes."""
    return x * np.float32(input_grid.scale)


def multiplier(kernel_scale, *, input_grid, grid):
    """float32 factor per output channel from accumulator to output, rounded as the runtime rounds it."""
    product = tf.cast(kernel_scale, tf.float32) * np.float32(input_grid.scale)
    return tf.cast(tf.cast(product, tf.float64) / np.float64(grid.scale), tf.float32)


def product(x, kernel, bias, multiplier, *, kind, attributes):
    """A convolution, depthwise convolution or dense product of codes with its bias, brought to the output's codes.

    Args:
        x: Codes.
        kernel: Codes, in the layout of the kind.
        bias: `[out_channels]`, in units of the accumulator.
        multiplier: `[out_channels]` float32, from accumulator to output.
        kind: `"conv2d"`, `"depthwise_conv2d"` or `"dense"`.
        attributes: Of the operation, all that its kind has.
    """
    x, kernel = tf.cast(x, tf.float64), tf.cast(kernel, tf.float64)
    if kind == "dense":
        accumulator = tf.tensordot(x, kernel, axes=1)
    elif kind == "conv2d":
        accumulator = _grouped_convolution(x, kernel, attributes)
    else:
        accumulator = _depthwise_convolution(x, kernel, attributes)
    accumulator = tf.cast(accumulator + tf.cast(bias, tf.float64), tf.float32)
    return tf.round(accumulator * multiplier)


def add(x, y, *, grids, grid):
    """Sum of two tensors of codes, each on its own grid, rounded half up."""
    ratios = [np.float32(np.float32(g.scale) / np.float32(grid.scale)) for g in grids]
    shift = 20 - math.floor(math.log2(max(ratios)))
    factors = [int(np.rint(np.float64(ratio) * 2.0**shift)) for ratio in ratios]
    total = sum(tf.cast(codes, tf.float64) * factor for codes, factor in zip((x, y), factors, strict=True))
    return tf.cast(tf.floor((total + 2.0 ** (shift - 1)) / 2.0**shift), tf.float32)


def mean(x, *, input_grid, grid, keepdims):
    """Mean over height and width."""
    count = x.shape[1] * x.shape[2]
    scale = np.float32(np.float32(input_grid.scale) / np.float32(grid.scale)) * np.float32(1 / np.float32(count))
    offset = np.float32(grid.zero_point) - np.float32(count * input_grid.zero_point) * scale
    total = tf.reduce_sum(tf.cast(x + input_grid.zero_point, tf.float64), axis=(1, 2), keepdims=keepdims)
    return tf.round(tf.cast(total, tf.float32) * scale + offset) - grid.zero_point


def average_pool(x, *, grid, attributes):
    """Mean over windows, on the grid of the input; the padding does not count."""
    pool, strides = attributes["pool_size"], attributes["strides"]
    margins = _margins(x, pool, attributes)
    total, count = (
        tf.round(tf.nn.avg_pool2d(tf.pad(values, margins), pool, strides, "VALID") * math.prod(pool))
        for values in (tf.cast(x, tf.float64), tf.ones_like(x, tf.float64))
    )
    if not any(map(sum, margins)):
        scale = np.float32(grid.scale)
        factor = np.float32(np.float32(scale * np.float32(1 / np.float32(math.prod(pool)))) / scale)
        return tf.round(tf.cast(total, tf.float32) * factor)
    total, count = tf.cast(total, tf.int32), tf.cast(count, tf.int32)
    stored = total + count * grid.zero_point
    rounded = tf.sign(stored) * ((2 * tf.abs(stored) + count) // (2 * count))
    return tf.cast(rounded - grid.zero_point, tf.float32)


def max_pool(x, *, attributes):
    """Maximum over windows."""
    return tf.nn.max_pool2d(x, attributes["pool_size"], attributes["strides"], attributes["padding"].upper())


def pad(x, *, attributes):
    """Zeros around height and width."""
    return tf.pad(x, ((0, 0), *attributes["paddings"], (0, 0)))


def softmax(x, *, input_grid, grid):
    """Probabilities over the last axis."""
    probabilities = tf.nn.softmax(tf.cast(x, tf.float64) * input_grid.scale)
    return tf.cast(tf.round(probabilities / grid.scale), tf.float32)


def _grouped_convolution(x, kernel, attributes):
    # Training kernels for groups exist on few devices; the groups one by one run on all.
    groups, strides, padding = attributes["groups"], attributes["strides"], attributes["padding"].upper()
    parts = [
        tf.nn.conv2d(part, filters, strides, padding, dilations=attributes["dilation"])
        for part, filters in zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    ]
    return parts[0] if groups == 1 else tf.concat(parts, -1)


def _depthwise_convolution(x, kernel, attributes):
    """With any strides and dilation: TensorFlow itself takes equal strides, and none together with dilation."""
    strides, dilation = tuple(attributes["strides"]), tuple(attributes["dilation"])
    x = tf.pad(x, _margins(x, kernel.shape[:2], attributes))
    if strides[0] == strides[1] and dilation == (1, 1):
        return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), "VALID")
    everywhere = tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "VALID", dilations=dilation)
    return everywhere[:, :: strides[0], :: strides[1]]


def _margins(x, window, attributes):
    """What `padding="same"` puts around, the odd one below and right."""
    margins = [(0, 0)] * 4
    if attributes["padding"] == "same":
        for axis in (0, 1):
            size, stride = x.shape[axis + 1], attributes["strides"][axis]
            reach = (window[axis] - 1) * attributes["dilation"][axis] + 1
            missing = max(0, (-(-size // stride) - 1) * stride + reach - size)
            margins[axis + 1] = (missing // 2, missing - missing // 2)
    return margins
