"""Mixtures of uniform grids in a constant number of passes over the tensor."""

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:  # which imports this file
    from tfmp.ops.uniform_grid import UniformGrid

_MAX_ROWS = 16
_MAX_BINS = 512
_MAX_SUMS = 2**16  # of a tensor with fewer values
_ONE_STEP = (1, 1, -1)  # the layout of a tensor with one step


@functools.cache
def has_compiler() -> bool:
    """Returns whether XLA can compile for the devices of this process."""
    with tf.init_scope():
        try:
            tf.function(tf.identity, jit_compile=True)(tf.constant(0.0))
        except tf.errors.OpError:
            return False
    return True


def is_fusible(x: tf.Tensor, grids: Sequence["UniformGrid"]) -> bool:
    """Returns whether `fused_mixture` supports these: float32, static ends, no dead zone, one step or one per channel.

    Not where a table of the sums of every channel would be large beside the tensor.
    """
    numbers = [number for grid in grids for number in (grid.low, grid.high, grid.offset, grid.dead_zone)]
    if (
        x.dtype != tf.float32
        or not all(isinstance(number, int | float) for number in numbers)
        or any(grid.dead_zone for grid in grids)
        or not has_compiler()
    ):
        return False
    shapes = {tuple(tf.convert_to_tensor(grid.step).shape) for grid in grids}
    layout = _layout(x.shape, *shapes) if len(shapes) == 1 else None
    if layout is None or layout == _ONE_STEP:
        return layout is not None
    return layout[1] * _kernels(_fields(grids), True).num_buckets <= max(_MAX_SUMS, math.prod(layout))


def fused_mixture(x: tf.Tensor, probabilities: tf.Tensor, grids: Sequence["UniformGrid"]) -> tf.Tensor:
    """Computes the same as `tfmp.ops.mix` for arguments that `is_fusible` accepts."""
    steps = tf.stack([grid.step for grid in grids])
    layout = _layout(x.shape, tuple(steps.shape[1:]))
    kernels = _kernels(_fields(grids), layout != _ONE_STEP)

    @tf.custom_gradient
    def mixture(x, probabilities, steps):
        arguments = probabilities, tf.reshape(steps, [len(grids), -1])

        def gradient(upstream):
            arranged = tf.reshape(upstream, layout)
            dx, bins, residual = kernels.backward(tf.reshape(x, layout), arranged, *arguments)
            sums = (kernels.sums(bins, values, layout[1]) for values in (arranged, residual))
            dp, dsteps = kernels.from_sums(*sums, *arguments)
            return tf.reshape(dx, tf.shape(x)), dp, tf.reshape(dsteps, tf.shape(steps))

        return tf.reshape(kernels.forward(tf.reshape(x, layout), *arguments), tf.shape(x)), gradient

    return mixture(x, probabilities, steps)


def _layout(shape, step_shape):
    """Returns the tensor's shape as `[values, channels, values]` for steps that broadcast to it; None if it has none.

    The axes along which the step varies must be neighbours.
    """
    if math.prod(step_shape) == 1 and len(step_shape) <= (shape.rank or 0):
        return _ONE_STEP
    if not shape.is_fully_defined() or len(step_shape) != shape.rank:
        return None
    varying = [axis for axis, size in enumerate(step_shape) if size != 1]
    first, last = varying[0], varying[-1] + 1
    if tuple(step_shape[first:last]) != tuple(shape[first:last]):
        return None
    return tuple(math.prod(sizes) for sizes in (shape[:first], shape[first:last], shape[last:]))


def _fields(grids):
    return tuple((float(grid.low), float(grid.high), float(grid.offset), bool(grid.clip_gradient)) for grid in grids)


@functools.cache
def _kernels(fields, per_channel):
    return _Kernels(fields, per_channel)


class _Kernels:
    """The passes over a tensor for one family of grids, compiled once for each layout of values.

    The thresholds of all grids, where a code changes or the clipping range begins or ends, divide the line into
    buckets. In a bucket every Q_i is constant, so the gradients of all probabilities and steps follow from two sums per
    bucket: of the upstream gradient, and of its product with the residual x - Q(x) of the last grid. The bucket of a
    value is the number of thresholds below it, and `tf.raw_ops.DenseBincount` computes the sums: XLA would read the
    tensor again for every sum. Each channel has its own thresholds and sums.

    Values are `[outer, channels, inner]`, steps `[grids, channels]`.

    Args:
        fields: low, high, offset and clip_gradient of each grid.
        per_channel: False if there is one channel, `[1, 1, values]`.
    """

    def __init__(self, fields, per_channel):
        self.fields = fields
        count = len(fields)
        self.offsets = np.array([offset for _, _, offset, _ in fields], np.float64)
        # Below all thresholds: codes, then whether the value is inside the clipping range.
        self.start = np.array([low for low, *_ in fields] + [not clips for *_, clips in fields], np.float64)
        thresholds = []  # position, grid, and what changes there
        for i, (low, high, offset, clips) in enumerate(fields):
            change = np.eye(2 * count)
            thresholds += [(k + 0.5 + offset, i, change[i]) for k in np.arange(low, high)]
            if clips:
                thresholds += [(low + offset, i, change[count + i]), (high + offset, i, -change[count + i])]
        positions, owners, changes = zip(*thresholds, strict=True)
        self.positions, self.owners, self.changes = np.float32(positions), np.array(owners), np.stack(changes)
        self.num_buckets = len(thresholds) + 1
        # Neighbouring values of a tensor use separate bins, which keeps sums short and their rounding errors small.
        self.lanes = 1 if per_channel else 1 << max(1, _MAX_BINS // self.num_buckets).bit_length() - 1
        values = tf.TensorSpec([None, None, None] if per_channel else [1, 1, None])
        rest = [tf.TensorSpec([count]), tf.TensorSpec([count, None if per_channel else 1])]
        compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
        self.forward = compiled(self._forward, input_signature=[values, *rest])
        self.backward = compiled(self._backward, input_signature=[values, values, *rest])

    def _rounded(self, x, steps):
        """Returns position, clipped position and code of each value on each grid."""
        # XLA would keep the quotients of a division in memory, one tensor for each grid.
        inverses = 1 / steps
        for i, (low, high, offset, _) in enumerate(self.fields):
            position = x * inverses[i] - offset
            clipped = tf.clip_by_value(position, low, high)
            yield position, clipped, tf.round(clipped)

    def _forward(self, x, probabilities, steps):
        steps = steps[:, :, tf.newaxis]
        factors = probabilities[:, tf.newaxis, tf.newaxis] * steps
        terms = [factors[i] * (k + self.fields[i][2]) for i, (_, _, k) in enumerate(self._rounded(x, steps))]
        return tf.add_n(terms)

    def _backward(self, x, upstream, probabilities, steps):
        """Returns the gradient of `x`, the bin of each value, and the products of gradient and residual."""
        steps = steps[:, :, tf.newaxis]
        slope, bucket = tf.zeros_like(x), tf.zeros_like(x)
        for i, (position, clipped, k) in enumerate(self._rounded(x, steps)):
            low, high, _, clips = self.fields[i]
            bucket += k - low
            if clips:
                slope += tf.where(clipped == position, probabilities[i], 0.0)
                bucket += tf.cast(position >= low, x.dtype) + tf.cast(position > high, x.dtype)
            else:
                slope += probabilities[i]
        residual = upstream * (x - (k + self.fields[-1][2]) * steps[-1])
        bucket = tf.cast(
            tf.where(tf.math.is_nan(bucket), 0.0, bucket), tf.int32
        )  # NaN reaches the sums as the residual
        if self.lanes > 1:
            bins = bucket * self.lanes + tf.bitwise.bitwise_and(tf.range(tf.size(x)), self.lanes - 1)
        else:
            bins = bucket + self.num_buckets * tf.range(tf.shape(x)[1])[:, tf.newaxis]
        return upstream * slope, bins, residual

    def sums(self, bins, values, channels):
        """Returns the sum of the values in each bucket, `[channels, buckets]`."""
        bins, values = tf.reshape(bins, [-1]), tf.reshape(values, [-1])
        num_bins = channels * self.num_buckets * self.lanes
        if tf.config.get_visible_devices("GPU"):
            # On a GPU, DenseBincount has no deterministic kernel for `enable_op_determinism`; this operation has one.
            lane_sums = tf.math.unsorted_segment_sum(values, bins, num_bins)
            return tf.reduce_sum(tf.reshape(lane_sums, [channels, self.num_buckets, self.lanes]), axis=2)
        # Threads work on separate rows of a matrix, and each row is added in one order: equal runs have equal sums.
        size = tf.size(bins)
        most_rows = _MAX_ROWS if channels == 1 else tf.where(size < _MAX_ROWS * num_bins, 1, _MAX_ROWS)
        rows = tf.clip_by_value(tf.bitwise.bitwise_and(size, -size), 1, most_rows)
        bins, values = (tf.reshape(flat, [rows, -1]) for flat in (bins, values))
        lane_sums = tf.raw_ops.DenseBincount(input=bins, size=num_bins, weights=values)
        return tf.reduce_sum(tf.reshape(lane_sums, [rows, channels, self.num_buckets, self.lanes]), axis=(0, 3))

    def from_sums(self, upstream, residual, probabilities, steps):
        """Returns the gradients of probabilities and steps."""
        count, steps = len(self.fields), tf.transpose(steps)
        order = tf.argsort(self.positions * tf.gather(steps, self.owners, axis=1))
        # In float64, because the gradient of a step is the small difference of two large sums.
        upstream, residual, precise = (tf.cast(tensor, tf.float64) for tensor in (upstream, residual, steps))
        codes = tf.pad(tf.gather(self.changes[:, count - 1], order), [[0, 0], [1, 0]])
        last = (self.start[count - 1] + tf.cumsum(codes, axis=1) + self.offsets[-1]) * precise[:, -1:]
        above = tf.cumsum(tf.stack([upstream, last * upstream + residual], axis=1), axis=2, reverse=True)
        above_thresholds = tf.gather(above[:, :, 1:], tf.argsort(order), axis=2, batch_dims=1)
        sums = above[:, :, :1] * self.start + tf.tensordot(above_thresholds, self.changes, axes=1)
        levels = precise * (sums[:, 0, :count] + self.offsets * above[:, 0, :1])
        dsteps = probabilities / steps * tf.cast(levels - sums[:, 1, count:], steps.dtype)
        return tf.cast(tf.reduce_sum(levels, axis=0), steps.dtype), tf.transpose(dsteps)
