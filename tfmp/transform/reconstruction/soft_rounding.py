"""Rounding of a kernel as a function that gradient descent can learn."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmp import ops, quantizers
from tfmp.annotations import Tensor
from tfmp.graph import Layer
from tfmp.operators import kernel_of

# The rectified sigmoid reaches 0 and 1, where the gradient of the regularizer vanishes.
_LOWEST, _HIGHEST = -0.1, 1.1
_OUTERMOST = 1e-3  # steps
_ROUNDING = 1e-5  # relative


class SoftRounding:
    """Rounds each value of a kernel down or up, by a variable between.

    levels = (floor(w / step - offset) + h(v) + offset) * step,  h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1)

    It starts at the values of the kernel, clipped to the outermost levels. When it is learned, v >= 0 rounds up.

    Args:
        layer: A fixed layer with a quantized kernel, its weights read.

    Attributes:
        logits: The variable v, in the shape of the kernel.
        is_learnable: False if the levels follow from the values of the kernel in a way that rounding changes.

    Reference: Nagel et al., 2020, eq. 22 to 24, https://arxiv.org/abs/2004.10568
    """

    def __init__(self, layer: Layer):
        self._state = layer.weight.state
        self._axes: Sequence[int] = kernel_of(layer).channel_axes
        self._quantizer = quantizers.get(layer.weight.quantizer, bits=layer.weight.bits[0], signed=layer.weight.signed)
        kernel = np.asarray(layer.weights["kernel"], np.float32)
        grid = self._grid(kernel)
        self._offset = float(grid.offset)
        step, low, high = (np.asarray(each, np.float32) for each in (grid.step, grid.low, grid.high))
        position = kernel / step - self._offset
        self._step, self._lower = step, np.clip(np.floor(position), low, high - 1)
        share = np.clip(position - self._lower, 0, 1)
        nearest = self._nearest_codes = self._nearest(kernel, grid)
        # A step that follows from the largest magnitude stays the same if the outermost values do.
        is_outermost = (np.abs(position - low) < _OUTERMOST) | (np.abs(position - high) < _OUTERMOST)
        self._is_fixed = is_outermost & (not layer.weight.state)
        self._fixed = np.clip(nearest - self._lower, 0, 1)
        self.is_learnable = self._stays(nearest)
        self.logits = tf.Variable(_logits(share), trainable=True)

    def __call__(self) -> tf.Tensor:
        """Returns the kernel at the current rounding, a differentiable function of `logits`."""
        return self._levels(self._lower + self._share())

    def regularizer(self, exponent: Tensor) -> tf.Tensor:
        """Returns sum(1 - |2 h - 1|**exponent), which is zero if every value is rounded down or up."""
        return tf.reduce_sum(1 - tf.pow(tf.abs(2 * self._share() - 1), exponent))

    def rounded(self) -> np.ndarray:
        """Returns the kernel on the chosen levels; on the nearest ones if the quantizer would move them."""
        up = np.where(self._is_fixed, self._fixed, np.asarray(self.logits) >= 0)
        codes = self._lower + up.astype(np.float32)
        return self._levels(codes) if self._stays(codes) else self.nearest()

    def nearest(self) -> np.ndarray:
        """Returns the kernel on the nearest levels."""
        return self._levels(self._nearest_codes)

    def _stays(self, codes):
        """Returns True if the quantizer maps the levels of codes to themselves."""
        levels = self._levels(codes)
        grid = self._grid(levels)
        same_step = np.allclose(np.asarray(grid.step), self._step, rtol=_ROUNDING, atol=0)
        return bool(same_step and np.array_equal(self._nearest(levels, grid), codes))

    def _share(self):
        return tf.where(self._is_fixed, self._fixed, rectified_sigmoid(self.logits))

    def _levels(self, codes):
        return (codes + self._offset) * self._step if self._offset else codes * self._step

    def _grid(self, kernel):
        kernel = tf.constant(kernel, tf.float32)
        return self._quantizer.grid(kernel, self._state, channel_axes=self._axes)

    def _nearest(self, kernel, grid):
        return np.asarray(ops.codes(tf.constant(kernel, tf.float32), grid))


def rectified_sigmoid(logits: Tensor) -> tf.Tensor:
    """Returns clip(1.2 sigmoid(v) - 0.1, 0, 1) (eq. 23)."""
    return tf.clip_by_value(tf.sigmoid(logits) * (_HIGHEST - _LOWEST) + _LOWEST, 0, 1)


def _logits(share):
    inner = (share - _LOWEST) / (_HIGHEST - _LOWEST)
    return np.log(inner / (1 - inner)).astype(np.float32)
