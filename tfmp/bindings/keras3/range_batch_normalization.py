"""Batch normalization by the range of a batch."""

from typing import Any

import keras

from tfmp.annotations import Tensor

_SMALLEST_COUNT = 2.0


@keras.saving.register_keras_serializable(package="tfmp")
class RangeBatchNormalization(keras.layers.BatchNormalization):
    """A batch normalization that estimates the deviation of a batch from its range, for training at few bits.

    deviation = (max - min) / (2 sqrt(2 ln n)) over the n values of a channel, which is correct for n values of a
    Gaussian in the limit. It needs no squares, which overflow at few bits. Moving statistics and inference are those of
    `keras.layers.BatchNormalization`, so it is folded and exported in the same way.

    Args:
        axis, momentum, epsilon, ...: As in `keras.layers.BatchNormalization`, without `renorm` and masks.

    Raises:
        ValueError: If called with a mask, or created with `renorm` or `synchronized`.

    Example:
        >>> layer = tfmp.layers.RangeBatchNormalization(momentum=0.9)

    Reference: Banner et al., 2018, section 3, https://arxiv.org/abs/1805.11046
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if getattr(self, "renorm", False) or self.synchronized:
            raise ValueError(
                f"Layer `{self.name}`: a normalization by range supports neither `renorm` nor `synchronized`. Omit "
                "them, or use `keras.layers.BatchNormalization`."
            )

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            raise ValueError(
                f"Layer `{self.name}`: normalization by range supports no mask. Use `keras.layers.BatchNormalization`."
            )
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        ops = keras.ops
        x = ops.cast(inputs, self.variable_dtype)
        axes = [axis for axis in range(x.ndim) if axis != self.axis % x.ndim]
        count = ops.cast(ops.size(x) // x.shape[self.axis], x.dtype)
        factor = 2.0 * ops.sqrt(2.0 * ops.log(ops.maximum(count, _SMALLEST_COUNT)))
        mean = ops.mean(x, axis=axes)
        variance = ops.square((ops.max(x, axis=axes) - ops.min(x, axis=axes)) / factor)
        for moving, statistic in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + statistic * (1.0 - self.momentum))
        outputs = ops.batch_normalization(
            x,
            mean=mean,
            variance=variance,
            axis=self.axis,
            offset=self.beta if self.center else None,
            scale=self.gamma if self.scale else None,
            epsilon=self.epsilon,
        )
        return ops.cast(outputs, self.compute_dtype)
