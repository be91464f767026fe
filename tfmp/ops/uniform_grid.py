"""Uniform grids of levels, and rounding to them with straight-through and learned-step gradients."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class UniformGrid(NamedTuple):
    """The levels `(k + offset) * step` for integers `low <= k <= high`.

    Args:
        step: Distance between neighbouring levels: scalar, or any shape that broadcasts to the tensor.
        low: Smallest k, a Python number or a scalar tensor.
        high: Largest k.
        offset: 0 for levels with a zero (mid-tread), 1/2 for levels around it (mid-rise).
        clip_gradient: If True, the gradient of the tensor is zero outside the outermost levels, otherwise it is the
            identity everywhere.
        dead_zone: Magnitudes below `dead_zone * step` are rounded to level 0 even if another level is nearer; for grids
            without offset.
    """

    step: tf.Tensor
    low: Any
    high: Any
    offset: Any = 0.0
    clip_gradient: Any = True
    dead_zone: Any = 0.0


def stack(grids: Sequence[UniformGrid], rank: int) -> UniformGrid:
    """Returns several grids as one, with which the functions of this file compute tensors of shape `[grids, ...]`.

    Args:
        grids: Grids of a tensor.
        rank: Number of axes of the tensor.

    Returns:
        Grid whose fields have the grids along a new first axis; a field that is equal for all of them has none.
    """
    steps = tf.stack([grid.step for grid in grids])
    sizes = [-1 if size is None else size for size in steps.shape[1:]]
    shape = [len(grids)] + [1] * (1 + rank - steps.shape.rank) + sizes
    rest = [stacked_values(values, rank, steps.dtype) for values in list(zip(*grids, strict=True))[1:]]
    return UniformGrid(tf.reshape(steps, shape), *rest)


def ends_of(grids: Sequence[UniformGrid], dtype: tf.DType) -> tf.Tensor:
    """Returns the lowest and the highest codes of grids, `[2, grids]`."""
    lows, highs = zip(*(grid[1:3] for grid in grids), strict=True)
    return tf.stack([[tf.cast(end, dtype) for end in ends] for ends in (lows, highs)])


def stacked_values(values: Sequence[Any], rank: int, dtype: tf.DType) -> Any:
    """Returns a field of several grids as that of a stack, see `stack`."""
    shape = [len(values)] + [1] * rank
    if any(tf.is_tensor(value) for value in values):
        return tf.reshape(tf.stack([tf.cast(value, dtype) for value in values]), shape)
    return values[0] if len(set(values)) == 1 else np.reshape(np.array(values, dtype.as_numpy_dtype), shape)


def codes(x: tf.Tensor, grid: UniformGrid) -> tf.Tensor:
    """Returns the integer k of the nearest level of each value, as floats; in the dead zone k is 0.

    Ties are rounded to the even k.
    """
    return _rounded(x, grid)[2]


def levels(x: tf.Tensor, grid: UniformGrid, *, inverse_step: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the nearest level of each value, in steps; arguments as in `gradients`."""
    return _level(_rounded(x, grid, inverse_step)[2], grid)


def gradients(
    x: tf.Tensor, grid: UniformGrid, upstream: tf.Tensor, *, inverse_step: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the level of each value in steps, the gradient of `x`, and that of the step before it is summed.

    Args:
        x: Tensor of floats.
        grid: The grid.
        upstream: Gradient of the quantized tensor.
        inverse_step: If given, values are multiplied by it, which is faster than a division by the step but may round
            differently.
    """
    position, clipped, k = _rounded(x, grid, inverse_step)
    level = _level(k, grid)
    if grid.clip_gradient is False:
        return level, upstream, upstream * (k - position)
    inside = tf.cast(tf.equal(position, clipped), x.dtype)
    if grid.clip_gradient is not True:  # of a stack of both kinds
        inside = tf.maximum(inside, 1 - grid.clip_gradient)
    return level, upstream * inside, upstream * (level - inside * _level(position, grid))


def _rounded(x, grid, inverse_step=None):
    """Returns the position of each value in steps, the position clipped to the grid, and its code."""
    position = x / grid.step if inverse_step is None else x * inverse_step
    if not _is_zero(grid.offset):
        position -= grid.offset
    clipped = tf.clip_by_value(position, grid.low, grid.high)
    k = tf.round(clipped)
    if not _is_zero(grid.dead_zone):
        k = tf.where(tf.abs(position) < grid.dead_zone, tf.zeros_like(k), k)
    return position, clipped, k


def _is_zero(number):
    """Returns True for a number that is statically zero."""
    return isinstance(number, float) and number == 0.0


def _level(k, grid):
    """Returns the level of a code, in steps."""
    return k if _is_zero(grid.offset) else k + grid.offset


def sum_to_shape(gradient: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Returns a gradient summed over the axes along which `reference` was broadcast."""
    reference = tf.convert_to_tensor(reference)
    if reference.shape.rank == 0:
        return tf.reduce_sum(gradient)
    missing = gradient.shape.rank - reference.shape.rank
    axes = [*range(missing), *(missing + axis for axis, size in enumerate(reference.shape) if size == 1)]
    return tf.reshape(tf.reduce_sum(gradient, axis=axes), tf.shape(reference))
