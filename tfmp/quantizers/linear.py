"""Symmetric quantization by the largest magnitude."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import tensorflow as tf

from tfmp import ops
from tfmp.quantizers.channels import axes_of_step, check_granularity
from tfmp.quantizers.quantizer import Quantizer


@dataclasses.dataclass(frozen=True)
class Linear(Quantizer):
    """Quantizes symmetrically, with the largest magnitude at the outermost level.

    q(x) = step * round(x / step),  step = max|x| / (2**(b-1) - 1): 2**b - 1 levels, the same on both sides of zero.

    It needs no training and is good at 8 bits. At few bits, outliers leave most levels unused; use `LSQ` there.

    Args:
        bits: Integer from 2 to 8, sign included. One bit would have only the level zero.
        signed: False for tensors that cannot be negative: levels 0 to 2**b - 1.
        granularity: `"channel"` for one step per output channel of a kernel, `"tensor"` for one per kernel.
            Activations have one step for the whole batch.

    State: none; if another library measured `largest`, it replaces the maximum of `x`.

    Gradient: identity; the step is a constant.

    Raises:
        ValueError: If `bits` is not an integer from 2 to 8, or `granularity` is unknown.

    Example:
        >>> Linear(bits=8).format
        CodeFormat(bits=8, low=-127, high=127)
    """

    granularity: str = "channel"

    name: ClassVar[str] = "linear"
    min_bits: ClassVar[int] = 2
    range_of_every_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_granularity(self.granularity, f"Quantizer `{self.name}`")

    @property
    def low(self) -> int:
        return -self.high if self.signed else 0

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        largest = state["largest"] if "largest" in state else self._largest(x, channel_axes)
        step = tf.stop_gradient(tf.maximum(largest / self.high, 1e-12))
        return ops.UniformGrid(step, self.low, self.high, clip_gradient=False)

    def _largest(self, x, channel_axes):
        if channel_axes is None:
            return ops.maximum_over_replicas(tf.reduce_max(tf.abs(tf.stop_gradient(x))))
        if self.granularity == "tensor":
            return tf.reduce_max(tf.abs(x))
        return tf.reduce_max(tf.abs(x), axis=axes_of_step(x.shape.rank, channel_axes), keepdims=True)
