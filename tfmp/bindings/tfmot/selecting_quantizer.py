"""TFMOT `Quantizer` of a kernel with searched bits."""

from tensorflow_model_optimization.quantization.keras import quantizers

from tfmp.bindings.keras2.selecting_layer import register


@register
class SelectingQuantizer(quantizers.Quantizer):
    """Quantizes a kernel by the weight selector of the wrapper around its layer.

    The selector is a child layer of the wrapper, so that its logits and ranges are trained and saved with the model.
    """

    def build(self, tensor_shape, name, layer):
        selector = getattr(layer, "weight_selector", None)
        if selector is None:
            raise ValueError(
                f"Layer `{layer.layer.name}` has a configuration of `tfmp.tfmot`, which quantizes the input of a layer "
                f"too; the wrapper of TFMOT that is around it, {type(layer).__name__}, cannot. Apply it with "
                "`quantize_apply(model, scheme=tfmp.tfmot.MixedPrecisionQuantizeScheme())`."
            )
        return {"selector": selector, "quantize": layer.quantize_kernel}

    def __call__(self, inputs, training, weights, **kwargs):
        return weights["quantize"](training)

    def get_config(self):
        return {}
