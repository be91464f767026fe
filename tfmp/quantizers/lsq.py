"""Learned step size quantization."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp import ops
from tfmp.quantizers.channels import axes_of_step, check_granularity, shape_of_step
from tfmp.quantizers.least_squares import channel_steps, data_step, gaussian_step
from tfmp.quantizers.quantizer import Quantizer

_SMALLEST_STEP = 1e-8
_SMALLEST_SHARE = 1e-3  # of the mean step of the channels


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
        granularity: `"channel"` for one step per output channel of a kernel, `"tensor"` for one per kernel, as in the
            paper. Activations have one step.

    State:
        step: Scalar, or an array that broadcasts to the kernel, trainable, in units of `x`. If several bits share it,
            it is the step of the widest; the steps of the others are fixed ratios of it, those of least-squares steps
            for a Gaussian.
        seen: Activations only: 1 once a batch or calibration data set the step, else 0. Weights set it when built.

    Gradient: identity inside the clipping range, zero outside. For `step`, that of the paper times 1 / sqrt(N * high),
    with N the number of weights that have the step, or of values of one sample. Several bits that share a step change
    it by the sum of the shares by which each would change its own.

    Raises:
        ValueError: If `bits` is not an integer from 1 to 8, or `granularity` is unknown.

    Example:
        >>> LSQ(bits=2).format
        CodeFormat(bits=2, low=-2, high=1)
        >>> LSQ(bits=2, granularity="tensor").full_name
        "lsq(granularity='tensor')"

    Reference: Esser et al., 2020, https://arxiv.org/abs/1902.08153
    """

    granularity: str = "channel"

    name: ClassVar[str] = "lsq"
    legacy_options: ClassVar[Mapping[str, Any]] = {"granularity": "tensor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_granularity(self.granularity, f"Quantizer `{self.name}`")

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

    def build(
        self,
        add_weight: Callable[..., Any],
        *,
        channel_axes: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        def start(shape, dtype=None, **_):
            return tf.fill(shape, tf.constant(self.unit_step))

        step_shape = () if shape is None else shape_of_step(shape, self._axes_of_steps(channel_axes))
        state = {"step": add_weight(name="step", shape=step_shape, initializer=start, trainable=True)}
        if channel_axes is None:
            state["seen"] = add_weight(name="seen", shape=(), initializer="zeros", trainable=False)
        return state

    def initial_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        """Returns the paper's initial step, 2 E|x| / sqrt(high), or the steps of least squared error of channels."""
        if self._axes_of_steps(channel_axes) is not None:
            return self.least_squares_state(values, channel_axes=channel_axes)
        magnitude = np.mean(np.abs(values), dtype=np.float64)
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

    def fitted_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        """Returns the least-squares step for a Gaussian with the power of the data."""
        values = np.asarray(values, np.float64)
        if not self.signed:
            values = values[values > 0]
        axes = self._axes_of_steps(channel_axes)
        spanned = None if axes is None else axes_of_step(values.ndim, axes)
        power = np.mean(np.square(values), axis=spanned, keepdims=axes is not None) if values.size else 0.0
        return self._start(np.sqrt(power) * self.unit_step)

    def least_squares_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        axes = self._axes_of_steps(channel_axes)
        step: Any
        if axes is None:
            step = data_step(values, self.low, self.high, self.offset)
        else:
            step = channel_steps(values, axes, self.low, self.high, self.offset)
        return self._start(step / 2 if self.offset else step)

    def _axes_of_steps(self, channel_axes):
        return channel_axes if self.granularity == "channel" else None

    def _start(self, steps):
        """Returns a state with these steps.

        A channel of zeros gets the mean of the others, or the step for unit variance. A step far below the others would
        leave no room for a channel that is almost zero.
        """
        steps = np.asarray(steps)
        reached = steps[steps > 0]
        typical = reached.mean() if reached.size else self.unit_step
        lowest = max(_SMALLEST_STEP, _SMALLEST_SHARE * typical) if steps.ndim else _SMALLEST_STEP
        return {"step": np.where(steps > 0, np.maximum(steps, lowest), typical).astype(np.float32)[()]}

    def convert_state(self, state: Mapping[str, Any], widest: Self) -> dict[str, Any]:
        step = np.asarray(state["step"]) * (self.unit_step / widest.unit_step)
        return {**state, "step": step.astype(np.float32)}

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        step = _scaled(state["step"], x, channel_axes, *self._scaling(self if widest is None else widest))
        return ops.UniformGrid(step, self.low, self.high, self.offset)

    def grids(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        family: Sequence[Self],
        *,
        channel_axes: Sequence[int] | None = None,
    ) -> tuple[ops.UniformGrid, ...]:
        if len(family) == 1:
            return super().grids(x, state, family, channel_axes=channel_axes)
        multiples, factors = np.array([each._scaling(self) for each in family]).T
        steps = tf.unstack(_scaled(state["step"], x, channel_axes, multiples, factors))
        return tuple(
            ops.UniformGrid(step, each.low, each.high, each.offset) for step, each in zip(steps, family, strict=True)
        )

    def _scaling(self, widest):
        """Returns the distance of the levels in units of the trained step, and the factor of the step's gradient.

        The trained step changes by the share by which this quantizer would change a step of its own. The chain rule
        multiplies the gradient by the ratio of the two steps; it is divided by it instead, because otherwise low bits
        would change the step by a share that is the squared ratio times as large.
        """
        ratio, distance = self.unit_step / widest.unit_step, 2 if self.offset else 1
        return distance * ratio, distance / ratio / math.sqrt(max(self.high, 1))


def _scaled(step, x, channel_axes, multiples, factors):
    """Returns multiples of a trained step, kept above zero; one along a new first axis for each of several.

    The gradient of a multiple is multiplied by its factor and divided by the root of the number of values that have the
    step, also where the step is not above zero, so that it can recover.
    """
    step = tf.cast(tf.convert_to_tensor(step), x.dtype)
    sizes = x.shape if channel_axes is not None else x.shape[1:]
    num_values = max(1, math.prod(size for size in sizes if size is not None) // step.shape.num_elements())
    shape = np.shape(multiples) + (1,) * (step.shape.rank if np.ndim(multiples) else 0)
    multiples, factors = (
        tf.constant(np.reshape(each, shape), x.dtype) for each in (multiples, factors / np.sqrt(num_values))
    )

    changing = step * factors
    multiple = tf.maximum(step * multiples, tf.cast(_SMALLEST_STEP, step.dtype))
    # Zero, but for its gradient; `tf.custom_gradient` would keep the graph for as long as the process lives.
    return tf.stop_gradient(multiple) + (changing - tf.stop_gradient(changing))
