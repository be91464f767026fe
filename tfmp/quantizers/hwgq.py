"""Half-wave Gaussian quantization."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp import ops
from tfmp.quantizers.channels import axes_of_step, check_granularity
from tfmp.quantizers.least_squares import gaussian_step
from tfmp.quantizers.quantizer import Quantizer


@dataclasses.dataclass(frozen=True)
class HWGQ(Quantizer):
    """Quantizes with the optimal step for a Gaussian, as EdMIPS does.

    Signed (weights): levels (k + 1/2) * step around zero, clipped to +-(2**b / 2 - 1/2) * step; step = c(b) * std(x).
    Unsigned (activations): clip(x, 0, (2**b - 1) * step), then the nearest multiple of step; step = c(b) * deviation.

    c(b) is the least-squares step for unit variance. For activations, it is fitted over x > 0 without the zero level,
    so that no positive x maps to 0: these are the published constants.

    Args:
        bits: Integer from 1 to 8, sign included.
        signed: True for weights, False for activations, where it also acts as the ReLU.
        granularity: `"tensor"` for the deviation of the whole kernel, as in the paper, `"channel"` for that of each
            output channel.

    State:
        deviation: Scalar, not trained, unsigned only: the standard deviation of the Gaussian before the ReLU. It is 1
            in the paper, where batch normalization precedes.

    Gradient: for signed, the identity everywhere, with std(x) as a constant; for unsigned, the identity inside the
        clipping range and zero outside.

    Raises:
        ValueError: If `bits` is not an integer from 1 to 8, or `granularity` is unknown.

    Example:
        >>> round(HWGQ(bits=2).unit_step, 3)
        0.996

    Reference: Cai et al., 2017, https://arxiv.org/abs/1702.00953; EdMIPS, section 3.2, https://arxiv.org/abs/2004.05795
    """

    granularity: str = "tensor"

    name: ClassVar[str] = "hwgq"
    takes_signed_input: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_granularity(self.granularity, f"Quantizer `{self.name}`")

    @property
    def offset(self) -> float:
        return 0.5 if self.signed else 0.0

    @property
    def unit_step(self) -> float:
        """The least-squares step c(b) for unit variance."""
        return gaussian_step(self.low if self.signed else 1, self.high, self.offset, half=not self.signed)

    def build(
        self,
        add_weight: Callable[..., Any],
        *,
        channel_axes: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        if self.signed:
            return {}
        return {"deviation": add_weight(name="deviation", shape=(), initializer="ones", trainable=False)}

    def initial_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        if self.signed:
            return {}
        positive = np.asarray(values, np.float64)
        positive = positive[positive > 0]
        return {"deviation": np.float32(math.sqrt(np.mean(np.square(positive))) if positive.size else 1.0)}

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        if self.signed:
            by_channel = self.granularity == "channel" and channel_axes is not None
            axes = axes_of_step(x.shape.rank, channel_axes) if by_channel else None
            deviation = tf.stop_gradient(tf.math.reduce_std(x, axis=axes, keepdims=by_channel))
        else:
            deviation = tf.cast(tf.convert_to_tensor(state["deviation"]), x.dtype)
        step = tf.maximum(self.unit_step * deviation, 1e-12)
        return ops.UniformGrid(step, self.low, self.high, self.offset, clip_gradient=not self.signed)
