"""TFMOT wrapper that also quantizes the input of its layer."""

from typing import Any

import tensorflow as tf
from tensorflow_model_optimization.quantization.keras import QuantizeWrapperV2

from tfmp.annotations import KerasLayer, Tensor
from tfmp.bindings.keras2 import layers as searchable
from tfmp.bindings.keras2.selecting_layer import SelectingLayer, register
from tfmp.bindings.tfmot.mixed_precision_quantize_config import kernel_name
from tfmp.mixins.mixed_precision import MixedPrecisionMixin


@register
class MixedPrecisionQuantizeWrapper(SelectingLayer, MixedPrecisionMixin, QuantizeWrapperV2):
    """Quantizes the input and the kernel of the layer that it wraps, each by a choice among bits.

    `MixedPrecisionQuantizeScheme` creates it. The quantizers of the configuration quantize the weights, as usual in
    TFMOT; the wrapper quantizes the input.

    Args:
        layer: A layer with a kernel.
        quantize_config: A `MixedPrecisionQuantizeConfig` or `FixedPrecisionQuantizeConfig`.
        num_calls: How often a forward pass uses the layer.
        **kwargs: As in `tfmot.quantization.keras.QuantizeWrapperV2`.

    Attributes:
        weight_selector, activation_selector, candidate_kernels, selection_cost: As in a layer of `tfmp.keras2`.
    """

    def __init__(self, layer: KerasLayer, quantize_config: Any, *, num_calls: int = 1, **kwargs: Any):
        super().__init__(layer, quantize_config, num_calls=num_calls, **quantize_config.arguments, **kwargs)

    @property
    def searched_name(self) -> str:
        return self.layer.name

    @property
    def channel_axes(self) -> tuple[int, ...]:  # type: ignore[override]  # an attribute in classes for one kind
        return getattr(searchable, f"MixedPrecision{type(self.layer).__name__}").channel_axes

    @property
    def kernel(self) -> Tensor:
        return getattr(self.layer, kernel_name(self.layer))

    @property
    def bias(self) -> Tensor | None:
        return self.layer.bias

    def kernel_owner(self) -> KerasLayer:
        return self.layer

    def add_weight(self, *arguments: Any, **options: Any) -> Any:
        # Its only own weight is a counter of TFMOT: replicas cannot average integers.
        options = {"aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA, **options}
        return super().add_weight(*arguments, **options)

    def call(self, inputs: Tensor, training: bool | None = None, **kwargs: Any) -> Any:
        training = False if training is None else training
        inputs = self.quantize_input(inputs, training)
        kernel = self.kernel
        outputs = QuantizeWrapperV2.call(self, inputs, training=training, **kwargs)
        if self.weight_selector is not None:
            # TFMOT leaves the quantized tensor of this call in the layer, but readers and saving need the variable.
            self.quantize_config.set_quantize_weights(self.layer, [kernel])
        return outputs

    @property
    def trainable_weights(self) -> list[Any]:
        # The method of TFMOT omits the children and trains the kernels of frozen layers.
        return [v for v in self._every_weight() if v.trainable] if self.trainable else self._searching()

    @property
    def non_trainable_weights(self) -> list[Any]:
        trained = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self._every_weight() if id(variable) not in trained]

    def _every_weight(self):
        selectors = self.weight_selector, self.activation_selector
        children = (self.layer, *selectors, self.candidate_kernels, self.selection_cost)
        # The kernel first: the order in the layer changes when TFMOT replaces it.
        weights = [self.kernel, self.optimizer_step] if self.built else []
        weights += [v for child in children if child is not None for v in child.variables]
        return list({id(variable): variable for variable in weights}.values())

    def get_config(self) -> dict[str, Any]:
        return {**QuantizeWrapperV2.get_config(self), "num_calls": self.num_calls}
