"""Model of tf_keras with TFMOT's wrappers in it to `Graph` and back."""

import tf_keras
from tensorflow_model_optimization.quantization.keras import QuantizeWrapper, quantize_scope

from tfmp.bindings.keras2 import graph as keras2
from tfmp.bindings.keras2.graph import distilled  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.keras2.integer_graph import write_integer  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.tfmot.mixed_precision_quantize_wrapper import MixedPrecisionQuantizeWrapper
from tfmp.bindings.tfmot.unwrapped import Unwrapper, is_of_tfmot, wrapped_layer
from tfmp.bindings.tfmot.wrapped import wrapped


def read(model, *, weights=True):
    """Returns a model as the `Graph` that it would be with layers of `tfmp.keras2` instead of wrappers.

    Layers have the names that they have without a wrapper. The ranges that TFMOT's own quantizers measured are those
    of 8-bit selections; behind a layer whose output they quantize there is one of kind `"quantize"`.

    Args:
        model: The model.
        weights: If False, the arrays are left out.

    Raises:
        ValueError: If the model is not built, or a subclass whose structure cannot be read; or if a wrapper shares
            variables with another layer.
    """
    graph = keras2.read(model, weights=weights)
    _check_not_shared(graph)
    return Unwrapper(model, graph, weights).run()


def write(graph):
    """Builds the model that a `Graph` describes; layers that are quantized come in wrappers of TFMOT."""
    with quantize_scope():
        return keras2.write(wrapped(graph))


def tensor_model(model, tensor_names):
    """Returns a model with the same inputs whose outputs are the named tensors of `read(model)`.

    Before and behind a quantizer of TFMOT a tensor is the same one: the wrapper returns it quantized.
    """
    unwrapper = Unwrapper(model, keras2.read(model, weights=False), False)
    unwrapper.run()
    return keras2.tensor_model(model, [unwrapper.sources[name] for name in tensor_names])


def layer(model, path):
    """Returns a layer of a model by its name in the graph: our wrapper around it, if there is one.

    Raises:
        ValueError: If there is none, or TFMOT quantizes it by itself.
    """
    for found in model.layers:
        inner = wrapped_layer(found)
        if inner is not None and inner.name == path:
            if isinstance(found, MixedPrecisionQuantizeWrapper):
                return found
            _check_not_measured(found)
            return inner
        if isinstance(found, tf_keras.Model) and path.startswith(f"{found.name}/"):
            return layer(found, path.removeprefix(f"{found.name}/"))
    return keras2.layer(model, path)


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
