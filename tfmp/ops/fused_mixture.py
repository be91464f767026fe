"""Mixtures of uniform grids in a constant number of passes over the tensor."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:  # which imports this file
    from tfmp.ops.uniform_grid import UniformGrid

_MAX_ROWS = 16
_MAX_BINS = 512


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
    """Returns whether `fused_mixture` supports these: float32, scalar steps, static ends, no dead zone."""
    numbers = [number for grid in grids for number in (grid.low, grid.high, grid.offset, grid.dead_zone)]
    return (
        x.dtype == tf.float32
        and all(isinstance(number, int | float) for number in numbers)
        and not any(grid.dead_zone for grid in grids)
        and all(tf.convert_to_tensor(grid.step).shape.rank == 0 for grid in grids)
        and has_compiler()
    )


def fused_mixture(x: tf.Tensor, probabilities: tf.Tensor, grids: Sequence["UniformGrid"]) -> tf.Tensor:
    """Computes the same as `tfmp.ops.mix` for arguments that `is_fusible` accepts."""
    fields = ((float(grid.low), float(grid.high), float(grid.offset), bool(grid.clip_gradient)) for grid in grids)
    kernels = _kernels(tuple(fields))

    @tf.custom_gradient
    def mixture(x, probabilities, steps):
        def gradient(upstream):
            flat = tf.reshape(x, [-1]), tf.reshape(upstream, [-1])
            dx, bins, residual = kernels.backward(*flat, probabilities, steps)
            dp, dsteps = kernels.from_sums(
                kernels.sums(bins, flat[1]), kernels.sums(bins, residual), probabilities, steps
            )
            return tf.reshape(dx, tf.shape(x)), dp, dsteps

        return tf.reshape(kernels.forward(tf.reshape(x, [-1]), probabilities, steps), tf.shape(x)), gradient

    return mixture(x, probabilities, tf.stack([grid.step for grid in grids]))


@functools.cache
def _kernels(fields):
    return _Kernels(fields)


class _Kernels:
    """The passes over a tensor for one family of grids, compiled once for each number of values.

    The thresholds of all grids, where a code changes or the clipping range begins or ends, divide the line into
    buckets. In a bucket every Q_i is constant, so the gradients of all probabilities and steps follow from two sums per
    bucket: of the upstream gradient, and of its product with the residual x - Q(x) of the last grid. The bucket of a
    value is the number of thresholds below it, and `tf.raw_ops.DenseBincount` computes the sums: XLA would read the
    tensor again for every sum.

    Args:
        fields: low, high, offset and clip_gradient of each grid.
    """

    def __init__(self, fields):
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
        self.lanes = 1 << max(1, _MAX_BINS // self.num_buckets).bit_length() - 1
        values, vector = tf.TensorSpec([None]), tf.TensorSpec([count])
        compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
        self.forward = compiled(self._forward, input_signature=[values, vector, vector])
        self.backward = compiled(self._backward, input_signature=[values, values, vector, vector])

    def _rounded(self, x, steps):
        """Returns position, clipped position and code of each value on each grid."""
        # XLA would keep the quotients of a division in memory, one tensor for each grid.
        inverses = 1 / steps
        for i, (low, high, offset, _) in enumerate(self.fields):
            position = x * inverses[i] - offset
            clipped = tf.clip_by_value(position, low, high)
            yield position, clipped, tf.round(clipped)

    def _forward(self, x, probabilities, steps):
        factors = probabilities * steps
        terms = [factors[i] * (k + self.fields[i][2]) for i, (_, _, k) in enumerate(self._rounded(x, steps))]
        return tf.add_n(terms)

    def _backward(self, x, upstream, probabilities, steps):
        """Returns the gradient of `x`, the bin of each value, and the products of gradient and residual."""
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
        bucket = tf.cast(tf.where(tf.math.is_nan(x), 0.0, bucket), tf.int32)  # NaN reaches the sums as the residual
        lane = tf.bitwise.bitwise_and(tf.range(tf.size(x)), self.lanes - 1)
        return upstream * slope, bucket * self.lanes + lane, residual

    def sums(self, bins, values):
        """Returns the sum of the values in each bucket, `[buckets]`."""
        if tf.config.get_visible_devices("GPU"):
            # On a GPU, DenseBincount has no deterministic kernel for `enable_op_determinism`; this operation has one.
            lane_sums = tf.math.unsorted_segment_sum(values, bins, self.num_buckets * self.lanes)
            return tf.reduce_sum(tf.reshape(lane_sums, [self.num_buckets, self.lanes]), axis=1)
        # Threads work on separate rows of a matrix, and each row is added in one order: equal runs have equal sums.
        size = tf.size(bins)
        rows = tf.clip_by_value(tf.bitwise.bitwise_and(size, -size), 1, _MAX_ROWS)
        bins, values = (tf.reshape(flat, [rows, -1]) for flat in (bins, values))
        lane_sums = tf.raw_ops.DenseBincount(input=bins, size=self.num_buckets * self.lanes, weights=values)
        return tf.reduce_sum(tf.reshape(lane_sums, [rows, self.num_buckets, self.lanes]), axis=(0, 2))

    def from_sums(self, upstream, residual, probabilities, steps):
        """Returns the gradients of probabilities and steps."""
        count = len(self.fields)
        order = tf.argsort(self.positions * tf.gather(steps, self.owners))
        changes = tf.gather(self.changes, order)
        # In float64, because the gradient of a step is the small difference of two large sums.
        upstream, residual, precise = (tf.cast(tensor, tf.float64) for tensor in (upstream, residual, steps))
        codes = tf.concat([self.start[count - 1 : count], changes[:, count - 1]], axis=0)
        last = (tf.cumsum(codes) + self.offsets[-1]) * precise[-1]
        above = tf.cumsum(tf.stack([upstream, last * upstream + residual]), axis=1, reverse=True)
        sums = above[:, :1] * self.start + tf.matmul(above[:, 1:], changes)
        levels = precise * (sums[0, :count] + self.offsets * above[0, 0])
        dsteps = probabilities / steps * tf.cast(levels - sums[1, count:], steps.dtype)
        return tf.cast(levels, steps.dtype), dsteps
