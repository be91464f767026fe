"""TFMOT `QuantizeConfig` of a layer with fixed bits."""

from typing import Any

from tfmp.bindings.keras2.selecting_layer import register
from tfmp.bindings.tfmot.mixed_precision_quantize_config import MixedPrecisionQuantizeConfig
from tfmp.checks import check_integer
from tfmp.quantizers import QuantizerLike
from tfmp.search.search_settings import saved_quantizer


@register
class FixedPrecisionQuantizeConfig(MixedPrecisionQuantizeConfig):
    """Quantizes the kernel and the input of a layer with fixed bits.

    Args:
        weight_bits: Integer within the quantizer's range, or None for a kernel in floating point.
        activation_bits: Integer within the quantizer's range, or None for an input in floating point.
        quantizer: Name of a quantizer family, or a pair of names (weights, activations).
        signed_input: True if the input can be negative; None to derive it from the model.

    Raises:
        ValueError: If bits are out of the quantizer's range, or the name is unknown.

    Example:
        >>> weight_bits, activation_bits = assignment["conv1"]
        >>> config = FixedPrecisionQuantizeConfig(weight_bits, activation_bits)
    """

    def __init__(
        self,
        weight_bits: int,
        activation_bits: int,
        *,
        quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "lsq",
        signed_input: bool | None = None,
    ):
        super().__init__(
            _one(weight_bits, "weight_bits"),
            _one(activation_bits, "activation_bits"),
            quantizer=quantizer,
            signed_input=signed_input,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "weight_bits": None if self.weight_bits is None else self.weight_bits[0],
            "activation_bits": None if self.activation_bits is None else self.activation_bits[0],
            "quantizer": saved_quantizer(self.settings.quantizer),
            "signed_input": self.settings.signed_input,
        }


def _one(bits, name):
    return bits if bits is None else check_integer(name, bits, hint="`MixedPrecisionQuantizeConfig` takes several")
