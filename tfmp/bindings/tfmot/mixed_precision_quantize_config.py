"""TFMOT `QuantizeConfig` of a layer that chooses its bits."""

from tensorflow_model_optimization.quantization.keras import QuantizeConfig

from tfmp.bindings.keras2.selecting_layer import register
from tfmp.bindings.tfmot.selecting_quantizer import SelectingQuantizer
from tfmp.mixins.bit_selector import check_bits
from tfmp.mixins.mixed_precision import quantizer_names, quantizer_pair
from tfmp.relaxation import check_relaxation


@register
class MixedPrecisionQuantizeConfig(QuantizeConfig):
    """Lets a layer choose the bits of its kernel and of its input while it trains.

    Annotate a layer that has a kernel with it, and apply with `MixedPrecisionQuantizeScheme`, whose wrapper quantizes
    inputs: that of TFMOT quantizes weights, activations and outputs only. TFMOT calls the layer once, with one kernel:
    coupled candidates, which need a convolution each, there are in the layers of `tfmp.keras2` alone.

    Args:
        weight_bits: Candidates for the kernel; None leaves it in floating point.
        activation_bits: Candidates for the layer's input; None leaves it in floating point.
        quantizer: Name of a quantizer family, or a pair of names (weights, activations).
        signed_input: True if the input can be negative; None where the model around the layer shows it.
        relaxation: `"softmax"`, `"annealed"` or `"gumbel"`.
        shared_range: If True, the candidates of a tensor share one learned range.
        shared_weights: If True, the candidates quantize one kernel; else each has its own.
        seed: Integer, for Gumbel noise.

    Raises:
        ValueError: If bits are out of the quantizer's range, or a name is unknown.

    Example:
        >>> config = MixedPrecisionQuantizeConfig(weight_bits=(2, 4), activation_bits=(4,))
        >>> layer = quantize_annotate_layer(tf_keras.layers.Conv2D(8, 3), config)
    """

    def __init__(
        self,
        weight_bits=(1, 2, 3, 4),
        activation_bits=(2, 3, 4),
        *,
        quantizer="lsq",
        signed_input=None,
        relaxation="softmax",
        shared_range=True,
        shared_weights=True,
        seed=0,
    ):
        pair = quantizer_pair(quantizer)
        check_relaxation(relaxation)
        self.weight_bits = _checked(weight_bits, "weight_bits", pair[0], True)
        self.activation_bits = _checked(activation_bits, "activation_bits", pair[1], bool(signed_input))
        self.quantizer = quantizer_names(quantizer)
        self.signed_input = signed_input
        self.relaxation = relaxation
        self.shared_range = shared_range
        self.shared_weights = shared_weights
        self.seed = seed

    @property
    def arguments(self):
        """Those of a `MixedPrecision*` layer that computes the same."""
        names = ("weight_bits", "activation_bits", "quantizer", "relaxation", "shared_range", "shared_weights", "seed")
        return {**{name: getattr(self, name) for name in names}, "signed_input": self.signed_input is not False}

    def get_weights_and_quantizers(self, layer):
        return [] if self.weight_bits is None else [(getattr(layer, kernel_name(layer)), SelectingQuantizer())]

    def set_quantize_weights(self, layer, quantize_weights):
        for kernel in quantize_weights:
            setattr(layer, kernel_name(layer), kernel)

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass  # there are none: whoever reads the output quantizes it

    def get_output_quantizers(self, layer):
        return []

    def get_config(self):
        return {**self.arguments, "signed_input": self.signed_input}


def kernel_name(layer) -> str:
    """The attribute that holds the kernel of a layer of tf_keras."""
    return "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"


def _checked(bits, name, quantizer, signed):
    return None if bits is None else tuple(found.bits for found in check_bits(bits, name, quantizer, signed))
