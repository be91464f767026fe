"""Learned step size quantization."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp import ops
from tfmp.quantizers.least_squares import data_step, gaussian_step
from tfmp.quantizers.quantizer import Quantizer

_SMALLEST_STEP = 1e-8


@dataclasses.dataclass(frozen=True)
class LSQ(Quantizer):
    """Quantizes with a learned step size.

    q(x) = step * round(clip(x / step, low, high)), with low, high = -2**(b-1), 2**(b-1) - 1 if signed and 0, 2**b - 1
    if not; the two levels -step, +step at 1 signed bit; -127 to 127 at 8 signed bits, the range that INT8 kernels
    accept.

    Use it wherever training follows; `HWGQ` takes the step from statistics instead, `Linear` from the maximum.

    Args:
        bits: Integer from 1 to 8, sign included.
        signed: False for tensors that cannot be negative.

    State:
        step: Scalar, trainable, in units of `x`. If several bits share it, it is the step of the widest; the steps of
            the others are fixed ratios of it, those of least-squares steps for a Gaussian.
        seen: Activations only: 1 once a batch or calibration data set the step, else 0. Weights set it when built.

    Gradient: identity inside the clipping range, zero outside. For `step`, that of the paper times 1 / sqrt(N * high),
    with N the number of weights, or of values of one sample.

    Raises:
        ValueError: If `bits` is not an integer from 1 to 8.

    Example:
        >>> LSQ(bits=2).format
        CodeFormat(bits=2, low=-2, high=1)

    Reference: Esser et al., 2020, https://arxiv.org/abs/1902.08153
    """

    name: ClassVar[str] = "lsq"

    @property
    def low(self) -> int:
        return -127 if self.signed and self.bits == 8 else super().low

    @property
    def offset(self) -> float:
        return 0.5 if self.signed and self.bits == 1 else 0.0

    @property
    def unit_step(self) -> float:
        """The step of least squared error for unit variance: a Gaussian, or its positive half if unsigned."""
        step = gaussian_step(self.low, self.high, self.offset, half=not self.signed)
        return step / 2 if self.offset else step

    def build(self, add_weight: Callable[..., Any], *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        start = self.unit_step
        state = {
            "step": add_weight(
                name="step", shape=(), initializer=lambda shape, dtype=None, **_: tf.constant(start), trainable=True
            )
        }
        if channel_axes is None:
            state["seen"] = add_weight(name="seen", shape=(), initializer="zeros", trainable=False)
        return state

    def initial_state(self, values: ArrayLike) -> dict[str, Any]:
        """Returns the paper's initial step, 2 E|x| / sqrt(high)."""
        magnitude = float(np.mean(np.abs(values), dtype=np.float64))
        return self._start(2 * magnitude / math.sqrt(max(self.high, 1)))

    def observe(self, x: tf.Tensor, state: Mapping[str, Any]) -> None:
        """Sets the step from the first training batch that is not all zero, if no calibration data did."""
        seen, step = tf.convert_to_tensor(state["seen"]), tf.convert_to_tensor(state["step"])

        def power():
            kept = tf.cast(tf.stop_gradient(x if self.signed else tf.nn.relu(x)), step.dtype)
            count = tf.size(kept, tf.int64) if self.signed else tf.math.count_nonzero(kept)
            return tf.stack([tf.reduce_sum(tf.square(kept)), tf.cast(count, step.dtype)])

        # Replicas cannot communicate inside a condition.
        total, count = tf.unstack(ops.sum_over_replicas(tf.cond(seen > 0, lambda: tf.zeros(2, step.dtype), power)))
        fitted = tf.maximum(tf.sqrt(total / tf.maximum(count, 1)) * self.unit_step, _SMALLEST_STEP)
        step, seen = tf.where(total > 0, fitted, step), tf.where(total > 0, tf.ones_like(seen), seen)
        state["step"].assign(step)
        state["seen"].assign(seen)

    def fitted_state(self, values: ArrayLike) -> dict[str, Any]:
        """Returns the least-squares step for a Gaussian with the power of the data."""
        values = np.asarray(values, np.float64)
        if not self.signed:
            values = values[values > 0]
        return self._start(math.sqrt(np.mean(np.square(values))) * self.unit_step if values.size else 0.0)

    def least_squares_state(self, values: ArrayLike) -> dict[str, Any]:
        step = data_step(values, self.low, self.high, self.offset)
        return self._start(step / 2 if self.offset else step)

    def _start(self, step):
        """Returns a state with this step; if all data are zero, with the step for unit variance."""
        return {"step": np.float32(max(step, _SMALLEST_STEP) if step > 0 else self.unit_step)}

    def convert_state(self, state: Mapping[str, Any], widest: Self) -> dict[str, Any]:
        return {**state, "step": np.float32(state["step"] * (self.unit_step / widest.unit_step))}

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        step = tf.cast(tf.convert_to_tensor(state["step"]), x.dtype)
        if widest is not None:
            step *= self.unit_step / widest.unit_step
        sizes = x.shape if channel_axes is not None else x.shape[1:]
        num_values = max(1, math.prod(size for size in sizes if size is not None))
        step = ops.scale_gradient(step, 1 / math.sqrt(num_values * max(self.high, 1)))
        step = _positive(step)
        return ops.UniformGrid(2 * step if self.offset else step, self.low, self.high, self.offset)


@tf.custom_gradient
def _positive(step):
    """Returns the step, kept above zero; its gradient passes unchanged, so that a negative step can recover."""
    return tf.maximum(step, tf.cast(_SMALLEST_STEP, step.dtype)), lambda upstream: upstream
