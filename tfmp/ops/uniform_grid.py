"""Rounding to uniform grids, alone and in mixtures, with the gradients of the quantization papers."""

from typing import NamedTuple

import tensorflow as tf


class UniformGrid(NamedTuple):
    """The levels `(k + offset) * step` for integers `low <= k <= high`.

    Args:
        step: Distance of neighbouring levels: scalar, or any shape that broadcasts against the tensor.
        low: Smallest k, a Python number or a scalar tensor.
        high: Largest k.
        offset: 0 for levels with a zero (mid-tread), 1/2 for levels around it (mid-rise).
        clip_gradient: If True, the gradient of the tensor is zero outside the outermost levels; else it is the identity
            everywhere.
        dead_zone: Magnitudes below `dead_zone * step` go to level 0 although a farther level may be nearer; for grids
            without offset.
    """

    step: tf.Tensor
    low: float
    high: float
    offset: float = 0.0
    clip_gradient: bool = True
    dead_zone: float = 0.0


def codes(x, grid):
    """Returns the integer k of the level of each value, the nearest but in the dead zone, as floats.

    Ties go to the even k.
    """
    position = _position(x, grid)
    k = tf.clip_by_value(tf.round(position), grid.low, grid.high)
    if _is_zero(grid.dead_zone):
        return k
    return tf.where(tf.abs(position) < grid.dead_zone, tf.zeros_like(k), k)


def mix(x, probabilities, grids, *, hard=False):
    """Quantizes a tensor onto several grids and adds the results weighted by their probabilities.

    sum_i p_i Q_i(x): the composite of EdMIPS, eq. 14 and 16, in one operation whose backward pass computes every Q_i
    again instead of storing it.

    Gradients:
        x: `sum_i p_i inside_i`, where `inside_i` is 1 or, for grids with `clip_gradient`, 0 beyond the outermost level.
        p_i: the inner product of the upstream gradient with Q_i(x).
        step_i: `p_i (Q_i(x) - inside_i x) / step_i`, the learned-step gradient of LSQ (Esser et al., 2020, eq. 3).

    Args:
        x: Tensor of floats.
        probabilities: `[len(grids)]` tensor.
        grids: Sequence of `UniformGrid`, one per candidate.
        hard: If True, `probabilities` is one-hot: only the chosen grid is computed, and only it passes gradients to `x`
            and to its step. The gradient of the probabilities is the same as above.

    Returns:
        Tensor of the shape of `x`.
    """
    steps = tuple(grid.step for grid in grids)
    if len(grids) == 1:
        return _quantize_one(x, steps[0], grids[0])
    return _mix_hard(x, probabilities, steps, grids) if hard else _mix_soft(x, probabilities, steps, grids)


def _quantize_one(x, step, grid):
    @tf.custom_gradient
    def quantize(x, step):
        grid_now = grid._replace(step=step)

        def gradient(upstream):
            dx, dstep = _gradients(x, _quantize(x, grid_now), grid_now, upstream)
            return dx, _sum_to_shape(dstep, step)

        return _quantize(x, grid_now), gradient

    return quantize(x, step)


def _mix_soft(x, probabilities, steps, grids):
    @tf.custom_gradient
    def mixture(x, probabilities, *steps):
        now = [grid._replace(step=step) for grid, step in zip(grids, steps, strict=True)]
        output = tf.add_n([probabilities[i] * _quantize(x, grid) for i, grid in enumerate(now)])

        def gradient(upstream):
            dx, dp, dsteps = 0.0, [], []
            for i, grid in enumerate(now):
                quantized = _quantize(x, grid)
                dx_i, dstep = _gradients(x, quantized, grid, upstream)
                dx += probabilities[i] * dx_i
                dp.append(tf.reduce_sum(upstream * quantized))
                dsteps.append(_sum_to_shape(probabilities[i] * dstep, steps[i]))
            return dx, tf.stack(dp), *dsteps

        return output, gradient

    return mixture(x, probabilities, *steps)


def _mix_hard(x, probabilities, steps, grids):
    @tf.custom_gradient
    def mixture(x, probabilities, *steps):
        now = [grid._replace(step=step) for grid, step in zip(grids, steps, strict=True)]
        chosen = UniformGrid(
            **{f: tf.add_n([probabilities[i] * getattr(grid, f) for i, grid in enumerate(now)]) for f in _NUMBERS},
            clip_gradient=grids[0].clip_gradient,
        )
        output = _quantize(x, chosen)

        def gradient(upstream):
            dx, dstep = _gradients(x, _quantize(x, chosen), chosen, upstream)
            dp = [tf.reduce_sum(upstream * _quantize(x, grid)) for grid in now]
            dsteps = [_sum_to_shape(probabilities[i] * dstep, step) for i, step in enumerate(steps)]
            return dx, tf.stack(dp), *dsteps

        return output, gradient

    return mixture(x, probabilities, *steps)


_NUMBERS = ("step", "low", "high", "offset", "dead_zone")


def _is_zero(number):
    """True for a number that is known to be zero before the graph runs."""
    return isinstance(number, float) and number == 0.0


def _position(x, grid):
    position = x / grid.step
    return position if _is_zero(grid.offset) else position - grid.offset


def _quantize(x, grid):
    k = codes(x, grid)
    return (k if _is_zero(grid.offset) else k + grid.offset) * grid.step


def _gradients(x, quantized, grid, upstream):
    """Gradient of one grid for `x`, and for its step before reduction to the step's shape."""
    if grid.clip_gradient:
        position = _position(x, grid)
        inside = tf.cast((position >= grid.low) & (position <= grid.high), x.dtype)
        return upstream * inside, upstream * (quantized - inside * x) / grid.step
    return upstream, upstream * (quantized - x) / grid.step


def _sum_to_shape(gradient, reference):
    """Sums a gradient over the axes along which `reference` was broadcast."""
    reference = tf.convert_to_tensor(reference)
    if reference.shape.rank == 0:
        return tf.reduce_sum(gradient)
    missing = gradient.shape.rank - reference.shape.rank
    axes = [*range(missing), *(missing + axis for axis, size in enumerate(reference.shape) if size == 1)]
    return tf.reshape(tf.reduce_sum(gradient, axis=axes), tf.shape(reference))
