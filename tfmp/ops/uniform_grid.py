"""Rounding to uniform grids with straight-through and learned-step gradients."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.ops.fused_mixture import fused_mixture, is_fusible


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
    low: float
    high: float
    offset: float = 0.0
    clip_gradient: bool = True
    dead_zone: float = 0.0


def codes(x: tf.Tensor, grid: UniformGrid) -> tf.Tensor:
    """Returns the integer k of the nearest level of each value, as floats; in the dead zone k is 0.

    Ties are rounded to the even k.
    """
    return _rounded(x, grid)[2]


def mix(x: tf.Tensor, probabilities: Tensor, grids: Sequence[UniformGrid]) -> tf.Tensor:
    """Quantizes a tensor on several grids and returns the sum of the results, weighted by their probabilities.

    sum_i p_i Q_i(x): the composite of EdMIPS, eq. 14 and 16, in one operation. Its backward pass computes every Q_i
    again instead of storing it. If it can be compiled, many grids take hardly longer than few; see
    `tfmp.ops.fused_mixture`. If `probabilities` is one-hot, only the chosen grid passes gradients to `x` and to its
    step.

    Gradients:
        x: `sum_i p_i inside_i`, with `inside_i` 1 or, for grids with `clip_gradient`, 0 outside the outermost levels.
        p_i: the inner product of the upstream gradient with Q_i(x).
        step_i: `p_i (Q_i(x) - inside_i x) / step_i`, the learned-step gradient of LSQ (Esser et al., 2020, eq. 3).

    Args:
        x: Tensor of floats.
        probabilities: `[len(grids)]` tensor.
        grids: Sequence of `UniformGrid`, one per candidate.

    Returns:
        Tensor of the shape of `x`.
    """
    if len(grids) == 1:
        return _quantize_one(x, grids[0])
    return fused_mixture(x, probabilities, grids) if is_fusible(x, grids) else _mix(x, probabilities, grids)


def _quantize_one(x, grid):
    @tf.custom_gradient
    def quantize(x, step):
        now = grid._replace(step=step)

        def gradient(upstream):
            _, dx, dstep = _gradients(x, now, upstream)
            return dx, _sum_to_shape(dstep, step)

        return _level(_rounded(x, now)[2], now) * step, gradient

    return quantize(x, grid.step)


def _mix(x, probabilities, grids):
    @tf.custom_gradient
    def mixture(x, probabilities, *steps):
        now = [grid._replace(step=step) for grid, step in zip(grids, steps, strict=True)]
        terms = [probabilities[i] * grid.step * _level(_rounded(x, grid)[2], grid) for i, grid in enumerate(now)]

        def gradient(upstream):
            dx, dp, dsteps = [], [], []
            for i, grid in enumerate(now):
                level, dx_i, dstep = _gradients(x, grid, upstream)
                dx.append(probabilities[i] * dx_i)
                dp.append(tf.reduce_sum(grid.step * _sum_to_shape(upstream * level, grid.step)))
                dsteps.append(probabilities[i] * _sum_to_shape(dstep, grid.step))
            return tf.add_n(dx), tf.stack(dp), *dsteps

        return tf.add_n(terms), gradient

    return mixture(x, probabilities, *(grid.step for grid in grids))


def _is_zero(number):
    """Returns True for a number that is statically zero."""
    return isinstance(number, float) and number == 0.0


def _rounded(x, grid):
    """Returns the position of each value in steps, the position clipped to the grid, and its code."""
    position = x / grid.step
    if not _is_zero(grid.offset):
        position -= grid.offset
    clipped = tf.clip_by_value(position, grid.low, grid.high)
    k = tf.round(clipped)
    if not _is_zero(grid.dead_zone):
        k = tf.where(tf.abs(position) < grid.dead_zone, tf.zeros_like(k), k)
    return position, clipped, k


def _level(k, grid):
    """Returns the level of a code, in steps."""
    return k if _is_zero(grid.offset) else k + grid.offset


def _gradients(x, grid, upstream):
    """Returns the level of each value in steps, the gradient of `x`, and that of the step before its reduction."""
    position, clipped, k = _rounded(x, grid)
    level = _level(k, grid)
    if not grid.clip_gradient:
        return level, upstream, upstream * (k - position)
    inside = tf.cast(tf.equal(position, clipped), x.dtype)
    return level, upstream * inside, upstream * (level - inside * _level(position, grid))


def _sum_to_shape(gradient, reference):
    """Sums a gradient over the axes along which `reference` was broadcast."""
    reference = tf.convert_to_tensor(reference)
    if reference.shape.rank == 0:
        return tf.reduce_sum(gradient)
    missing = gradient.shape.rank - reference.shape.rank
    axes = [*range(missing), *(missing + axis for axis, size in enumerate(reference.shape) if size == 1)]
    return tf.reshape(tf.reduce_sum(gradient, axis=axes), tf.shape(reference))


def scale_gradient(x: tf.Tensor, factor: Tensor) -> tf.Tensor:
    """Returns `x`; its gradient is multiplied by `factor`.

    LSQ uses it to balance the updates of a step with those of the weights (Esser et al., 2020, section 2.2).
    """

    @tf.custom_gradient
    def identity(value):
        return tf.identity(value), lambda upstream: upstream * tf.cast(factor, upstream.dtype)

    return identity(x)
