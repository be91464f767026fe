"""Base of the `Quantize` layer."""

from typing import Any

import tensorflow as tf

from tfmp import quantizers
from tfmp.annotations import KerasMixin, Tensor
from tfmp.checks import check_flag
from tfmp.quantizers import QuantizerLike
from tfmp.search.search_settings import check_bits


class QuantizeMixin(KerasMixin):
    """Quantizes its input, at a place where the integer network stores a tensor.

    `tfmp.relax` inserts one, at 8 bits, after every tensor with several readers, or with a reader that does not
    quantize its input (additions, poolings, the outputs), so that the trained model equals the exported one.

    Args:
        bits: Integer within the quantizer's range.
        quantizer: Name of the quantizer family.
        signed: False for tensors that cannot be negative.

    Attributes:
        activation_selector: Child layer with the single candidate.

    Input and output shape: any, unchanged. Integers and Booleans are converted to floating point.

    Raises:
        ValueError: If the bits are out of range or the name is unknown.
    """

    def __init__(self, bits: int = 8, *, quantizer: QuantizerLike = "moving_range", signed: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.bits = check_bits(bits, "bits", quantizer, signed)[0].bits
        self.quantizer = quantizers.name_of(quantizer)
        self.signed = check_flag("signed", signed)
        self.activation_selector = self.make_selector(
            self.bits, quantizer=quantizer, signed=signed, name="activation_selector"
        )

    def build(self, input_shape: Any) -> None:
        self.activation_selector.build(tuple(input_shape))
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = inputs if inputs.dtype.is_floating else tf.cast(inputs, self.compute_dtype)
        return self.activation_selector(inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits, "quantizer": self.quantizer, "signed": self.signed}
