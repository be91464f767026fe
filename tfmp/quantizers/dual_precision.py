"""Binary, ternary and symmetric kernels by the mean magnitude of each filter."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import tensorflow as tf

from tfmp import ops
from tfmp.quantizers.channels import axes_of_step
from tfmp.quantizers.least_squares import gaussian_step
from tfmp.quantizers.quantizer import Quantizer

_TERNARY_THRESHOLD = 0.7
_GAUSSIAN_MEAN_MAGNITUDE = math.sqrt(2 / math.pi)  # of unit variance


@dataclasses.dataclass(frozen=True)
class DualPrecision(Quantizer):
    """Quantizes kernels by m_i = mean|w_i| over each output filter i, as DualPrecision does.

    1 bit (eq. 4): sign(w) m_i, with sign(0) = 1.
    2 bits (eq. 3): sign(w) m_i where |w| >= 0.7 m_i, else 0.
    b > 2 bits (eq. 1): s_i round(clip(w, -a_i, a_i) / s_i), s_i = a_i / (2**(b-1) - 1), a_i = m_i / c(b), where c(b)
    makes a_i the clip of least squared error for a Gaussian of zero mean.

    Only for kernels: the activations then use `moving_range` (Jacob et al., 2018), as in the paper.

    Args:
        bits: Integer from 1 to 8, sign included.
        signed: True; kernels have both signs.

    State: none.

    Gradient: identity everywhere; the steps are constants (eq. 5).

    Raises:
        ValueError: If `bits` is not an integer from 1 to 8, or `signed` is False.

    Example:
        >>> DualPrecision(bits=2).format
        CodeFormat(bits=2, low=-1, high=1)

    Reference: DualPrecision, eq. 1 to 5 and appendix B, after Zhou et al., 2016, https://arxiv.org/abs/1606.06160 (1
        bit) and Zhu et al., 2017, https://arxiv.org/abs/1612.01064 (2 bits)
    """

    name: ClassVar[str] = "dual_precision"
    activation_name: ClassVar[str] = "moving_range"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.signed:
            raise ValueError(
                "Quantizer `dual_precision` is for kernels, which have both signs. Received: signed=False. Use "
                '"moving_range" for activations: `quantizer=("dual_precision", "moving_range")`.'
            )

    @property
    def low(self) -> int:
        return -1 if self.bits == 1 else -self.high

    @property
    def offset(self) -> float:
        return 0.5 if self.bits == 1 else 0.0

    @property
    def clip_ratio(self) -> float:
        """The ratio c(b) = m_i / a_i for more than 2 bits."""
        return _GAUSSIAN_MEAN_MAGNITUDE / (self.high * gaussian_step(self.low, self.high))

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        axes = axes_of_step(x.shape.rank, channel_axes)
        mean = tf.maximum(tf.stop_gradient(tf.reduce_mean(tf.abs(x), axis=axes, keepdims=True)), 1e-12)
        if self.bits == 1:
            return ops.UniformGrid(2 * mean, self.low, self.high, self.offset, clip_gradient=False)
        if self.bits == 2:
            zone = _TERNARY_THRESHOLD
            return ops.UniformGrid(mean, self.low, self.high, clip_gradient=False, dead_zone=zone)
        return ops.UniformGrid(mean / (self.clip_ratio * self.high), self.low, self.high, clip_gradient=False)
