"""An activation quantizer whose bits are given from outside."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfmp.annotations import KerasMixin, Tensor
from tfmp.relaxation import mixture
from tfmp.search.search_settings import check_bits


class ChoiceQuantizerMixin(KerasMixin):
    """Quantizes an activation to a mixture of bits whose weights the caller gives.

    All candidates share one moving range.

    Args:
        bits: Candidates, integers from 1 to 8.
        signed: False for tensors that cannot be negative.
    """

    def __init__(self, bits: Sequence[int], *, signed: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.quantizers = check_bits(bits, "bits", "moving_range", signed)
        self.signed = signed

    def build(self, inputs_shape: Any, weights_shape: Any = None) -> None:
        def add_weight(*, name, shape, initializer, trainable):
            return self.add_statistic(name=name, shape=shape, initializer=initializer)

        self.range = self.quantizers[-1].build(add_weight)
        self.built = True

    def call(self, inputs: Tensor, weights: Tensor, observed: Any = None, training: bool | None = None) -> Tensor:
        """Quantizes.

        Args:
            inputs: The tensor.
            weights: `[candidates]`, summing to 1.
            observed: What the range follows while training, if not `inputs`: values as large as the tensor's.
            training: Python boolean.
        """
        if training:
            self.quantizers[-1].observe(inputs if observed is None else observed, self.range)
        return mixture(inputs, self.quantizers, [self.range] * len(self.quantizers), weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": [each.bits for each in self.quantizers], "signed": self.signed}


def chosen_maximum(values: Tensor, sizes: Sequence[int], weights: Tensor) -> Tensor:
    """The expected maximum over the first channels, whose number is chosen.

    With one choice certain it is what the network of that choice sees, whatever the other channels hold.

    Args:
        values: Tensor that is not negative, channels last.
        sizes: Numbers of channels, one per candidate.
        weights: `[candidates]`, summing to 1.

    Returns:
        `[1]` tensor.
    """
    per_channel = tf.reduce_max(values, axis=range(values.shape.rank - 1))
    return tf.tensordot(weights, tf.stack([tf.reduce_max(per_channel[:size]) for size in sizes]), axes=1)[None]
