"""TFMOT `QuantizeConfig` of a layer with searched bits."""

from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow_model_optimization.quantization.keras import QuantizeConfig

from tfmp.annotations import KerasLayer
from tfmp.bindings.keras2.selecting_layer import register
from tfmp.bindings.tfmot.selecting_quantizer import SelectingQuantizer
from tfmp.search.search_settings import SearchSettings, document_settings, read_config


@register
class MixedPrecisionQuantizeConfig(QuantizeConfig):
    """Lets a layer choose the bits of its kernel and of its input while it trains.

    Annotate a layer that has a kernel with it, and apply with `MixedPrecisionQuantizeScheme`, whose wrapper quantizes
    inputs; that of TFMOT only quantizes weights, activations and outputs. TFMOT calls the layer once, with one kernel.
    Coupled candidates, which need a convolution each, are therefore only available in the layers of `tfmp.keras2`.

    Args:
        signed_input: True if the input can be negative; None derives it from the model. Default: `None`.
        **settings: The other settings of `tfmp.search.SearchSettings`, except `coupled`.

    Raises:
        ValueError: If bits are out of the quantizer's range, or a name is unknown.

    Example:
        >>> config = MixedPrecisionQuantizeConfig(weight_bits=(2, 4), activation_bits=(4,))
        >>> layer = quantize_annotate_layer(tf_keras.layers.Conv2D(8, 3), config)
    """

    def __init__(
        self,
        weight_bits: int | Sequence[int] | None = (1, 2, 3, 4),
        activation_bits: int | Sequence[int] | None = (2, 3, 4),
        *,
        signed_input: bool | None = None,
        **settings: Any,
    ):
        if "coupled" in settings:
            raise TypeError(
                "`coupled` needs a convolution for each pair, but TFMOT calls a layer once: use the layers of "
                f"`tfmp.keras2`, or omit it. Received: coupled={settings['coupled']!r}"
            )
        bits: dict[str, Any] = {"weight_bits": weight_bits, "activation_bits": activation_bits}
        self.settings = SearchSettings(**bits, signed_input=signed_input, **settings)

    @property
    def weight_bits(self) -> Any:
        return self.settings.weight_bits

    @property
    def activation_bits(self) -> Any:
        return self.settings.activation_bits

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of a `MixedPrecision*` layer that computes the same."""
        return {**self.settings.config(), "signed_input": self.settings.signed_input is not False}

    def get_weights_and_quantizers(self, layer: KerasLayer) -> list[tuple[Any, Any]]:
        return [] if self.weight_bits is None else [(getattr(layer, kernel_name(layer)), SelectingQuantizer())]

    def set_quantize_weights(self, layer: KerasLayer, quantize_weights: Sequence[Any]) -> None:
        for kernel in quantize_weights:
            setattr(layer, kernel_name(layer), kernel)

    def get_activations_and_quantizers(self, layer: KerasLayer) -> list[tuple[Any, Any]]:
        return []

    def set_quantize_activations(self, layer: KerasLayer, quantize_activations: Sequence[Any]) -> None:
        pass  # none: the readers of the output quantize it

    def get_output_quantizers(self, layer: KerasLayer) -> list[Any]:
        return []

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in self.settings.config().items() if name != "coupled"}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "MixedPrecisionQuantizeConfig":
        return cls(**read_config(config))


document_settings(MixedPrecisionQuantizeConfig, omit=["coupled"])


def kernel_name(layer: KerasLayer) -> str:
    """Returns the name of the attribute with the kernel of a tf_keras layer."""
    return "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
