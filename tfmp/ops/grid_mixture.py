"""Quantization on one grid or on a mixture of several."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.ops.fused_mixture import fused_mixture, is_fusible, layout_of, static_fields
from tfmp.ops.traced_function import is_tracing, traced_function
from tfmp.ops.uniform_grid import UniformGrid, ends_of, gradients, levels, stack, stacked_values, sum_to_shape


def mix(x: tf.Tensor, probabilities: Tensor, grids: Sequence[UniformGrid]) -> tf.Tensor:
    """Quantizes a tensor on several grids and returns the sum of the results, weighted by their probabilities.

    sum_i p_i Q_i(x): the composite of EdMIPS, eq. 14 and 16, in one operation. Its backward pass computes every Q_i
    again instead of storing it. For large tensors it is compiled, see `tfmp.ops.fused_mixture`. If `probabilities` is
    one-hot, only the chosen grid passes gradients to `x` and to its step. One grid has the probability 1.

    Gradients:
        x: `sum_i p_i inside_i`, with `inside_i` 1 or, for grids with `clip_gradient`, 0 outside the outermost levels.
        p_i: the inner product of the upstream gradient with Q_i(x); none for one grid.
        step_i: `p_i (Q_i(x) - inside_i x) / step_i`, the learned-step gradient of LSQ (Esser et al., 2020, eq. 3).

    Args:
        x: Tensor of floats.
        probabilities: `[len(grids)]` tensor.
        grids: Sequence of `UniformGrid`, one per candidate.

    Returns:
        Tensor of the shape of `x`.
    """
    if is_fusible(x, grids):
        return fused_mixture(x, probabilities, grids)
    layout = layout_of(x.shape, tuple(tf.convert_to_tensor(grids[0].step).shape)) if is_tracing() else None
    if layout is None:
        return _mix(x, probabilities, grids)
    mixture = _traced(tuple(static_fields(grid) for grid in grids), x.dtype)
    channels = tf.reshape(x, layout.channels_in_the_middle)
    steps = tf.reshape(tf.stack([grid.step for grid in grids]), [len(grids), -1])
    mixed = mixture(channels, tf.convert_to_tensor(probabilities, x.dtype), steps, ends_of(grids, x.dtype))
    return tf.reshape(mixed, tf.shape(x))


def quantize_each(x: Tensor, grids: Sequence[UniformGrid]) -> tf.Tensor:
    """Returns a tensor on each grid, `[grids, ...]`, without gradients.

    Args:
        x: Tensor of floats; or a tuple with the tensor of each grid.
        grids: The grids.
    """
    each = tf.stop_gradient(tf.convert_to_tensor(x))
    stacked = stack(grids, each.shape.rank - isinstance(x, tuple))
    return tf.stop_gradient(levels(each, stacked) * stacked.step)


@functools.cache
def _traced(fields, dtype):
    """Returns a mixture of grids as a function in graphs.

    It takes a tensor `[..., channels, ...]` of three axes, probabilities, steps `[grids, channels]` and ends
    `[2, grids]`.
    """

    def mixture(x, probabilities, steps, ends):
        if len(fields) == 1:
            return _quantize_one(x, UniformGrid(steps[0][:, tf.newaxis], ends[0, 0], ends[1, 0], *fields[0]))
        # Already stacked: slices of the grids, to be stacked again, would be most operations of a small kernel.
        low, high = tf.unstack(ends[:, :, tf.newaxis, tf.newaxis, tf.newaxis])
        rest = [stacked_values(values, 3, dtype) for values in zip(*fields, strict=True)]
        return _mix_several(x, probabilities, UniformGrid(steps[:, tf.newaxis, :, tf.newaxis], low, high, *rest))

    sizes = [None, None, None], [len(fields)], [len(fields), None], [2, len(fields)]
    return traced_function(mixture, [tf.TensorSpec(each, dtype) for each in sizes])


def _mix(x, probabilities, grids):
    return _quantize_one(x, grids[0]) if len(grids) == 1 else _mix_several(x, probabilities, stack(grids, x.shape.rank))


def _quantize_one(x, grid):
    @tf.custom_gradient
    def quantize(x, step):
        now = grid._replace(step=step)

        def gradient(upstream):
            _, dx, dstep = gradients(x, now, upstream)
            return dx, sum_to_shape(dstep, step)

        return levels(x, now) * step, gradient

    return quantize(x, grid.step)


def _mix_several(x, probabilities, stacked):
    """Computes all grids of a stack at once, in tensors of shape `[grids, ...]`: few operations, but more memory."""
    count = stacked.step.shape[0]
    shape = [count] + [1] * x.shape.rank

    @tf.custom_gradient
    def mixture(x, probabilities, steps):
        grid = stacked._replace(step=steps)
        factors = tf.reshape(probabilities, shape)

        def gradient(upstream):
            level, dx, dsteps = gradients(x, grid, upstream)
            products = steps * sum_to_shape(upstream * level, steps)
            dp = tf.reduce_sum(tf.reshape(products, [count, -1]), axis=1)
            return tf.reduce_sum(factors * dx, axis=0), dp, factors * sum_to_shape(dsteps, steps)

        return tf.reduce_sum(factors * steps * levels(x, grid), axis=0), gradient

    return mixture(x, tf.cast(probabilities, x.dtype), stacked.step)
