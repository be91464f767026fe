"""Adapts tf_keras models with TFMOT's wrappers to the library."""

import tf_keras
from tensorflow_model_optimization.quantization.keras import QuantizeWrapper, quantize_scope

from tfmp.bindings.keras2.keras2_framework import Keras2Framework
from tfmp.bindings.tfmot.mixed_precision_quantize_wrapper import MixedPrecisionQuantizeWrapper
from tfmp.bindings.tfmot.unwrapped import Unwrapper, is_of_tfmot, wrapped_layer
from tfmp.bindings.tfmot.wrapped import wrapped


class TfmotFramework(Keras2Framework):
    """Reads and builds models of tf_keras whose layers are in wrappers of TFMOT.

    A model is read as if it had layers of `tfmp.keras2` instead of wrappers, named like the wrapped layers. TFMOT's own
    quantizers become 8-bit candidates with the ranges that they measured; after a layer whose output they quantize, the
    graph has a layer of kind `"quantize"`.
    """

    def read(self, model, *, weights=True):
        graph = super().read(model, weights=weights)
        _check_not_shared(graph)
        return Unwrapper(model, graph, weights).run()

    def write(self, graph):
        with quantize_scope():
            return super().write(wrapped(graph))

    def tensor_model(self, model, tensor_names):
        # A tensor is the same one before and after a quantizer of TFMOT: the wrapper returns it quantized.
        keras2 = Keras2Framework()
        unwrapper = Unwrapper(model, keras2.read(model, weights=False), False)
        unwrapper.run()
        return keras2.tensor_model(model, [unwrapper.sources[name] for name in tensor_names])

    def layer(self, model, path):
        """Returns a layer of a model by its name in the graph; the wrapper of tfmp around it, if there is one.

        Raises:
            ValueError: If there is no such layer, or TFMOT's own wrapper quantizes it.
        """
        for candidate in model.layers:
            inner = wrapped_layer(candidate)
            if inner is not None and inner.name == path:
                if isinstance(candidate, MixedPrecisionQuantizeWrapper):
                    return candidate
                _check_not_measured(candidate)
                return inner
            if isinstance(candidate, tf_keras.Model) and path.startswith(f"{candidate.name}/"):
                return self.layer(candidate, path.removeprefix(f"{candidate.name}/"))
        return super().layer(model, path)


def _check_not_shared(graph):
    for layer in graph.layers.values():
        for name in {name for name, _ in layer.shared.values()} & set(graph.layers):
            if is_of_tfmot(layer) or is_of_tfmot(graph.layers[name]):
                raise ValueError(
                    f"Layers `{layer.name}` and `{name}` share variables, and one of them is in a wrapper of TFMOT, "
                    "which cannot be shared. Do not annotate that layer."
                )


def _check_not_measured(wrapper):
    if isinstance(wrapper, QuantizeWrapper) and wrapper.quantize_config.get_weights_and_quantizers(wrapper.layer):
        raise ValueError(
            f"Layer `{wrapper.layer.name}` is quantized by TFMOT's `{type(wrapper.quantize_config).__name__}`, whose "
            "ranges training alone sets. To set them from data, give it a `tfmp.tfmot.FixedPrecisionQuantizeConfig`."
        )
