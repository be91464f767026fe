"""Quantization on uniform grids in a constant number of passes over the tensor, compiled by XLA."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfmp.ops.traced_function import is_tracing, traced_function
from tfmp.ops.uniform_grid import UniformGrid, ends_of, gradients, levels

_FEWEST_VALUES = 2**15  # below, plain operations take about as long as a launch, and nothing is compiled
_USUAL_BATCH = 32  # if the size of an axis is unknown
_ADDED_ROWS, _COLUMNS = 8, 64
_PAGE = 1024  # values; rows at this distance compete for the same lines of a cache


@functools.cache
def has_compiler() -> bool:
    """Returns whether XLA can compile for the devices of this process."""
    with tf.init_scope():
        try:
            tf.function(tf.identity, jit_compile=True)(tf.constant(0.0))
        except tf.errors.OpError:
            return False
    return True


def is_fusible(x: tf.Tensor, grids: Sequence[UniformGrid]) -> bool:
    """Returns whether `fused_mixture` supports these, and pays.

    They must be float32, with one step or one per channel, and enough values. A single grid needs exact divisions, so
    that its values are those of its codes; on a GPU, XLA does not divide exactly.
    """
    if x.dtype != tf.float32 or math.prod(size or _USUAL_BATCH for size in x.shape) < _FEWEST_VALUES:
        return False
    shapes = {tuple(tf.convert_to_tensor(grid.step).shape) for grid in grids}
    if len(shapes) > 1 or layout_of(x.shape, *shapes) is None or not has_compiler():
        return False
    return len(grids) > 1 or not tf.config.get_visible_devices("GPU")


def fused_mixture(x: tf.Tensor, probabilities: tf.Tensor, grids: Sequence[UniformGrid]) -> tf.Tensor:
    """Computes the same as `tfmp.ops.mix` for arguments that `is_fusible` accepts."""
    count = len(grids)
    layout = layout_of(x.shape, tuple(tf.convert_to_tensor(grids[0].step).shape))
    if layout is None:
        raise ValueError(f"The steps must vary along neighbouring axes of the tensor. Received: {grids[0].step}")
    passes = _passes(tuple(static_fields(grid) for grid in grids))
    ends = ends_of(grids, x.dtype)
    steps = tf.reshape(tf.stack([grid.step for grid in grids]), [count, -1])
    if layout.repeats > 1:
        steps = tf.repeat(steps, layout.repeats, axis=1)
    mixture = passes.traced if is_tracing() else passes.mixture
    mixed = mixture(tf.reshape(x, layout.shape), tf.convert_to_tensor(probabilities, x.dtype), steps, ends)
    return tf.reshape(mixed, tf.shape(x))


class Layout(NamedTuple):
    """A tensor as a matrix, whose columns have steps of their own or all the same.

    Args:
        shape: Of the matrix.
        channels: Number of steps.
        repeats: Number of neighbouring columns with the same of several steps.
    """

    shape: tuple[int, int]
    channels: int
    repeats: int

    @property
    def channels_in_the_middle(self) -> tuple[int, int, int]:
        """Shape of the tensor with one axis for the steps, between what is outside of it and what is inside."""
        return (1, 1, -1) if self.channels == 1 else (self.shape[0], self.channels, self.repeats)


def static_fields(grid: UniformGrid) -> tuple[float, bool, float]:
    """Returns the fields of a grid that are not tensors: offset, clip_gradient and dead_zone."""
    return grid.offset, grid.clip_gradient, grid.dead_zone


def layout_of(shape: tf.TensorShape, step_shape: tuple[int, ...]) -> Layout | None:
    """Returns the layout for steps that broadcast to a tensor, None if it has none.

    The axes along which the step varies must be neighbours.
    """
    if math.prod(step_shape) == 1 and len(step_shape) <= (shape.rank or 0):
        known = math.prod(size for size in shape if size)
        factor = known & -known  # the largest power of two that divides it
        return Layout((-1, _COLUMNS) if factor >= _ADDED_ROWS * _COLUMNS else (min(factor, _ADDED_ROWS), -1), 1, 1)
    if not shape.is_fully_defined() or len(step_shape) != shape.rank:
        return None
    varying = [axis for axis, size in enumerate(step_shape) if size != 1]
    first, last = varying[0], varying[-1] + 1
    if tuple(step_shape[first:last]) != tuple(shape[first:last]):
        return None
    outer, channels, inner = (math.prod(sizes) for sizes in (shape[:first], shape[first:last], shape[last:]))
    return Layout((outer, channels * inner), channels, inner)


@functools.cache
def _passes(fields):
    return _Passes(fields)


class _Passes:
    """The passes over a tensor for one family of grids, traced once and compiled for each layout of values.

    XLA computes each output in one loop over the tensor: the mixture, the gradient of the tensor, and the sums of the
    gradients of every step and probability. It adds a few neighbouring rows, which takes vector instructions; the
    remaining sums are left to TensorFlow, whose order is the same on any number of threads.

    Values are `[rows, columns]`, steps `[grids, columns]` or `[grids, 1]`, ends `[2, grids]`: the lowest and the
    highest codes.

    Args:
        fields: offset, clip_gradient and dead_zone of each grid.
    """

    def __init__(self, fields):
        self.fields = fields
        values = tf.TensorSpec([None, None])
        rest = [tf.TensorSpec([len(fields)]), tf.TensorSpec([len(fields), None]), tf.TensorSpec([2, len(fields)])]
        compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
        self.forward = compiled(self._forward, input_signature=[values, *rest])
        self.backward = compiled(self._backward, input_signature=[values, values, *rest])
        self._signature = [values, *rest]

    @functools.cached_property
    def traced(self):
        """`mixture` as a function in graphs."""
        return traced_function(self.mixture, self._signature)

    def mixture(self, x, probabilities, steps, ends):
        """Returns the mixture, with gradients for `x`, the steps and, of several grids, the probabilities."""
        count = len(self.fields)

        @tf.custom_gradient
        def mixture(x, probabilities, steps):
            def gradient(upstream):
                dx, sums = self.backward(x, upstream, probabilities, steps, ends)
                sums = tf.reduce_sum(tf.reshape(sums, [sums.shape[0], -1, tf.shape(steps)[1]]), axis=1)
                dp = None if count == 1 else tf.reduce_sum(steps * sums[count:], axis=1)
                return dx, dp, probabilities[:, tf.newaxis] * sums[:count]

            return self.forward(x, probabilities, steps, ends), gradient

        return mixture(x, probabilities, steps)

    def _grids(self, steps, ends):
        """Returns the grids, and the factor of values in place of a division by their step.

        XLA would keep the quotients of a division in memory, one tensor for each grid; a single grid must be exact.
        """
        grids = [UniformGrid(steps[i], ends[0, i], ends[1, i], *rest) for i, rest in enumerate(self.fields)]
        return [(grid, None if len(grids) == 1 else 1 / grid.step) for grid in grids]

    def _forward(self, x, probabilities, steps, ends):
        return tf.add_n(
            [
                levels(x, grid, inverse_step=inverse) * (probabilities[i] * grid.step)
                for i, (grid, inverse) in enumerate(self._grids(steps, ends))
            ]
        )

    def _backward(self, x, upstream, probabilities, steps, ends):
        """Returns the gradient of `x`, and partial sums `[terms, some rows, columns]`.

        The terms are the gradients of the steps, before the probabilities; if there are several grids, then those of
        the probabilities, in steps.
        """
        found = [gradients(x, grid, upstream, inverse_step=inverse) for grid, inverse in self._grids(steps, ends)]
        level, dx, terms = zip(*found, strict=True)
        if len(found) > 1:
            terms += tuple(upstream * each for each in level)
        rows, columns = tf.unstack(tf.shape(x))
        most = tf.where(columns % _PAGE == 0, _ADDED_ROWS // 2, _ADDED_ROWS)
        added = tf.minimum(tf.bitwise.bitwise_and(rows, -rows), most)  # a power of two that divides the rows
        sums = [tf.reduce_sum(tf.reshape(term, [rows // added, added, columns]), axis=1) for term in terms]
        return tf.add_n([probabilities[i] * each for i, each in enumerate(dx)]), tf.stack(sums)
