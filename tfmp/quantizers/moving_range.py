"""Quantization by moving averages of minimum and maximum."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp import ops
from tfmp.quantizers.quantizer import Quantizer


@dataclasses.dataclass(frozen=True)
class MovingRange(Quantizer):
    """Quantizes activations between a moving minimum and maximum.

    step = (maximum - minimum) / (2**b - 1); the levels are shifted so that zero is one of them.

    Args:
        bits: Integer from 1 to 8.
        signed: False for tensors that cannot be negative: the minimum stays 0.
        momentum: Share of the old average that is kept at each training step.

    State:
        minimum, maximum: Scalars, not trained, in units of `x`; exponential moving averages over training batches that
            start from the first batch.
        seen: 1 after the first batch or calibration data, else 0.

    Gradient: identity inside the range, zero outside.

    Raises:
        ValueError: If `bits` is not an integer from 1 to 8.

    Example:
        >>> MovingRange(bits=8, signed=False).format
        CodeFormat(bits=8, low=0, high=255)

    Reference: Jacob et al., 2018, section 3.1, https://arxiv.org/abs/1712.05877
    """

    momentum: float = 0.99

    name: ClassVar[str] = "moving_range"
    range_of_tensor: ClassVar[bool] = True

    @property
    def low(self) -> int:
        return -(2 ** (self.bits - 1)) if self.signed else 0

    def build(
        self,
        add_weight: Callable[..., Any],
        *,
        channel_axes: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        return {
            "minimum": add_weight(name="minimum", shape=(), initializer="zeros", trainable=False),
            "maximum": add_weight(name="maximum", shape=(), initializer="ones", trainable=False),
            "seen": add_weight(name="seen", shape=(), initializer="zeros", trainable=False),
        }

    def initial_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        return {
            "minimum": np.float32(min(np.min(values), 0.0) if self.signed else 0.0),
            "maximum": np.float32(max(np.max(values), 0.0)),
            "seen": np.float32(1.0),
        }

    def observe(self, x: tf.Tensor, state: Mapping[str, Any]) -> None:
        x = tf.stop_gradient(x)
        seen = tf.convert_to_tensor(state["seen"])
        ends = [tf.reduce_max(x), -tf.reduce_min(x)] if self.signed else [tf.reduce_max(x)]
        largest = ops.maximum_over_replicas(tf.maximum(tf.stack(ends), 0))
        extremes = {"maximum": largest[0]}
        if self.signed:
            extremes["minimum"] = 0 - largest[1]  # without the sign of a negative zero
        for name, extreme in extremes.items():
            old, extreme = tf.convert_to_tensor(state[name]), tf.cast(extreme, seen.dtype)
            average = self.momentum * old + (1 - self.momentum) * extreme
            state[name].assign(tf.where(seen > 0, average, extreme))
        state["seen"].assign(tf.ones_like(seen))

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        minimum, maximum = (tf.cast(tf.convert_to_tensor(state[name]), x.dtype) for name in ("minimum", "maximum"))
        num_steps = 2**self.bits - 1
        step = tf.maximum((maximum - minimum) / num_steps, 1e-12)
        low = tf.clip_by_value(tf.round(minimum / step), -num_steps, 0.0)
        return ops.UniformGrid(step, low, low + num_steps)
