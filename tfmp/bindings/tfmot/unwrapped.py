"""Replaces TFMOT's wrappers in a graph by the layers that they compute."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from tensorflow_model_optimization.quantization.keras import QuantizeWrapper

from tfmp.bindings.keras2 import layers as searchable
from tfmp.bindings.keras2.keras2_framework import Keras2Framework
from tfmp.bindings.layer_kinds import kernel_classes
from tfmp.bindings.layer_reader import LayerReader
from tfmp.bindings.layer_variables import layer_weights
from tfmp.bindings.tfmot.measured_ranges import activation_range, kernel_range, range_between
from tfmp.bindings.tfmot.mixed_precision_quantize_config import kernel_name
from tfmp.bindings.tfmot.mixed_precision_quantize_wrapper import MixedPrecisionQuantizeWrapper
from tfmp.graph import UNQUANTIZED, Call, Layer, LayerOrigin, TensorRef, map_references
from tfmp.graph.runtime_limits import BOUNDED_OUTPUTS
from tfmp.operators import MOVES, operator_of
from tfmp.operators.operator_table import activation_name, function_kind

_KERAS_2 = Keras2Framework()
# Whether TFMOT quantizes before or after them, which only private attributes say.
_QUANTIZED_BEFORE = ("softmax", "sigmoid", "tanh", "gelu")
_QUANTIZED_AFTER = ("linear", "relu", "swish", "gelu")
_OWN_VARIABLES = ("optimizer_step", "_min", "_max")
# The runtime prescribes the range of their result, so TFMOT does not quantize it.
_BOUNDED = {function: (low * scale, high * scale) for function, (scale, low, high) in BOUNDED_OUTPUTS.items()}


def wrapped_layer(layer):
    """Returns the layer in a wrapper of TFMOT, None for other layers; annotations have no public class."""
    return layer.layer if isinstance(layer, QuantizeWrapper) or type(layer).__name__ == "QuantizeAnnotate" else None


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """A wrapper of TFMOT's own, to be built again.

    Args:
        layer_class: Its class.
        config: Its configuration.
        weights: Its arrays by path, including those of the wrapped layer.
        parts: Names of the layers in the graph that quantize the output of the wrapped layer.
    """

    layer_class: type
    config: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    parts: tuple[str, ...]


class Unwrapper:
    """Replaces wrappers by the wrapped layers, and by layers of kind `"quantize"` where TFMOT quantizes.

    Args:
        model: The model.
        graph: The graph that `Keras2Framework` read.
        with_weights: If False, the arrays are omitted.

    Attributes:
        sources: Maps the name of a tensor to the name of the tensor of `graph` that it was, or was computed from.
    """

    def __init__(self, model, graph, with_weights):
        self.model, self.graph, self.with_weights = model, graph, with_weights
        self.calls, self.layers, self.tensors, self.sources = [], {}, {}, {}
        self._replaced = {}  # maps a tensor of `graph` to the reference that replaces it
        self._parts = {}  # maps a layer of `graph` to the layers that replace it

    def run(self):
        for call in self.graph.calls:
            args, kwargs = map_references((call.args, dict(call.kwargs)), self._redirect)
            self._add(call, dataclasses.replace(call, args=args, kwargs=kwargs))
        fields = ("inputs", "outputs", "arguments")
        submodels = {
            use: dataclasses.replace(
                submodel, **{field: map_references(getattr(submodel, field), self._redirect) for field in fields}
            )
            for use, submodel in self.graph.submodels.items()
        }
        outputs = map_references(self.graph.outputs, self._redirect)
        changed = {"layers": self.layers, "calls": tuple(self.calls), "tensors": self.tensors}
        return dataclasses.replace(self.graph, **changed, outputs=outputs, submodels=submodels)

    def _redirect(self, reference):
        return self._replaced.get(reference.name, reference)

    def _add(self, original, call):
        wrapped = self.graph.layers[original.layer]
        owner = _KERAS_2.layer(self.model, original.layer) if is_of_tfmot(wrapped) else None
        inner = None if owner is None else wrapped_layer(owner)
        if inner is not None:
            name = wrapped.name.removesuffix(owner.name) + inner.name
            around = f"{call.within}/" if call.within else ""
            outputs = tuple(around + inner.name + o.removeprefix(around + owner.name) for o in call.outputs)
            call = dataclasses.replace(call, layer=name, outputs=outputs)
        for old, new in zip(original.outputs, call.outputs, strict=True):
            self.tensors[new] = dataclasses.replace(self.graph.tensors[old], name=new)
            self.sources[new] = old
        if original.layer not in self._parts:
            self._parts[original.layer] = self._described(wrapped, owner, inner, call)
        layer, *parts = self._parts[original.layer]
        self.layers[layer.name] = layer
        self.calls.append(call)
        tensor, number = call.outputs[0], sum(other.layer == layer.name for other in self.calls) - 1
        for part in parts:
            output = f"{part.name}:call_{number}" if number else part.name
            self.layers[part.name] = part
            self.calls.append(Call(part.name, (TensorRef(tensor),), {}, (output,), call.within))
            self.tensors[output] = dataclasses.replace(self.tensors[tensor], name=output)
            self.sources[output] = original.outputs[0]
            tensor = output
        for old, new in zip(original.outputs, (tensor, *call.outputs[1:]), strict=True):
            self._replaced[old] = TensorRef(new)

    def _described(self, wrapped, owner, inner, call):
        """Returns the sequence of layers that replaces a layer."""
        if owner is None:
            return [wrapped]
        if inner is None:
            return [self._quantize_layer(wrapped, owner)]
        reader = _InnerReader(owner, self.with_weights)
        layer = reader.read(inner, call, self.tensors, reads_network_input=self._reads_network_input(call))
        if isinstance(owner, MixedPrecisionQuantizeWrapper):
            arguments = {**owner.quantize_config.arguments, "num_calls": owner.num_calls}
            state = {field: getattr(wrapped, field) for field in ("weight", "activation", "price")}
            return [dataclasses.replace(_as_searchable(layer, arguments), **state)]
        return self._measured(layer, owner, call) if isinstance(owner, QuantizeWrapper) else [layer]

    def _measured(self, layer, owner, call):
        """Returns the layer in a wrapper of TFMOT's own, and the quantizers of its output."""
        inner, config, arrays = owner.layer, owner.quantize_config, layer_weights(_KERAS_2, owner)
        activations = [quantizer for _, quantizer in config.get_activations_and_quantizers(inner)]
        function = activation_name(layer.origin.config)
        parts = []
        if activations and function in _QUANTIZED_BEFORE:
            parts.append(self._part(layer, "before_activation", activations[0], arrays, "pre_activation"))
            parts.append(self._activation(layer, function))
            layer = dataclasses.replace(
                layer,
                origin=layer.origin.replace_config(activation="linear"),
                attributes={**layer.attributes, "activation": "linear"},
            )
        if activations and function in _QUANTIZED_AFTER and not _is_no_op(inner.activation):
            parts.append(self._part(layer, "output", activations[0], arrays, "post_activation"))
        for quantizer in config.get_output_quantizers(inner)[:1]:
            parts.append(self._part(layer, "output", quantizer, arrays, "output"))
        kernels = [quantizer for _, quantizer in config.get_weights_and_quantizers(inner)]
        if layer.shape is not None and kernels:
            layer = self._with_ranges(layer, kernels[0], arrays, kernel_name(inner), call.inputs[0])
        if parts or layer.is_quantized:
            wrapper = Wrapper(type(owner), owner.get_config(), arrays, tuple(part.name for part in parts))
            layer = dataclasses.replace(layer, origin=dataclasses.replace(layer.origin, wrapper=wrapper))
        return [layer, *parts]

    def _with_ranges(self, layer, quantizer, arrays, name, tensor):
        kernel_shape = arrays["kernel"].shape
        weight, activation = kernel_range(quantizer, arrays, name, kernel_shape), self._stored(tensor)
        arguments = {
            "weight_bits": weight.bits,
            "activation_bits": None if activation.formats[0].is_float else activation.bits,
            "quantizer": ("linear", "moving_range"),
            "signed_input": activation.signed,
        }
        return dataclasses.replace(
            _as_searchable(layer, arguments),
            weight=weight if self.with_weights else weight.without_arrays(),
            activation=activation,
            weights=layer.weights if self.with_weights else {},
        )

    def _stored(self, tensor):
        """Returns the candidates by which a tensor was quantized, looking back through layers that move it."""
        while True:
            call = next(call for call in self.calls if tensor in call.outputs)
            layer = self.layers[call.layer]
            if layer.kind == "quantize":
                return layer.activation
            if layer.kind in _BOUNDED:
                return range_between(*_BOUNDED[layer.kind])
            operator = operator_of(layer)
            keeps_levels = operator is not None and operator.reads == MOVES and not operator.each_value
            if not keeps_levels or len(call.inputs) != 1:
                return UNQUANTIZED
            tensor = call.inputs[0]

    def _part(self, layer, suffix, quantizer, arrays, prefix):
        name = self.graph.unused_name(f"{layer.name}_{suffix}")
        return self._quantize(name, quantizer, arrays, prefix, part_of=layer.name)

    def _quantize(self, name, quantizer, arrays, prefix, **origin):
        candidates = activation_range(quantizer, arrays, prefix)
        return Layer(
            name,
            "quantize",
            origin=LayerOrigin(config={"name": name, "bits": candidates.bits[0], "signed": True}, **origin),
            activation=candidates if self.with_weights else candidates.without_arrays(),
        )

    def _activation(self, layer, function):
        name = self.graph.unused_name(f"{layer.name}_activation")
        kind, attributes = function_kind(function, self.graph.framework) or ("other", {})
        origin = LayerOrigin(config={"name": name, "activation": function}, part_of=layer.name)
        return Layer(name, kind, origin=origin, attributes=attributes)

    def _quantize_layer(self, layer, owner):
        if owner.quantizer is None or type(owner.quantizer).__name__ == "NoQuantizer":
            return dataclasses.replace(layer, kind="identity", num_parameters=0)
        arrays = layer_weights(_KERAS_2, owner)
        wrapper = Wrapper(type(owner), owner.get_config(), arrays, ())
        return self._quantize(layer.name, owner.quantizer, arrays, owner.name, wrapper=wrapper)

    def _reads_network_input(self, call):
        tensor = call.inputs[0]
        while True:
            made_by = next((other for other in self.calls if tensor in other.outputs), None)
            kind = self.layers[made_by.layer].kind if made_by else ""
            if kind != "quantize":
                return kind == "input"
            tensor = made_by.inputs[0]


class _InnerReader(LayerReader):
    """Reads the layer in a wrapper, whose variables may only be in the wrapper."""

    def __init__(self, owner, with_weights):
        super().__init__(_KERAS_2, with_weights)
        self.owner = owner

    def config(self, operation):
        config = super().config(operation)
        activation = getattr(operation, "activation", None)
        if activation is None:
            return config
        # TFMOT wraps the activation of the user.
        activation = getattr(activation, "activation", activation)
        return {
            **config,
            "activation": "linear" if _is_no_op(activation) else tf_keras.activations.serialize(activation),
        }

    def weights(self, operation, shared=()):
        paths = layer_weights(_KERAS_2, self.owner).items()
        return {path: value for path, value in paths if "/" not in path and not path.endswith(_OWN_VARIABLES)}

    def num_parameters(self, operation, shared=()):
        return sum(value.size for value in self.weights(operation).values())


def _as_searchable(layer, arguments):
    """Returns the layer of `tfmp.keras2` that computes the same."""
    found_class = getattr(searchable, f"MixedPrecision{kernel_classes()[layer.kind]}")
    return dataclasses.replace(layer, origin=LayerOrigin(found_class, {**layer.origin.config, **arguments}))


def is_of_tfmot(layer) -> bool:
    """Returns True for a layer of the graph that is a wrapper or an input quantizer of TFMOT."""
    found_class = layer.origin.layer_class
    modules = {base.__module__.split(".")[0] for base in found_class.__mro__} if isinstance(found_class, type) else ()
    return "tensorflow_model_optimization" in modules and (
        issubclass(found_class, QuantizeWrapper) or found_class.__name__ in ("QuantizeAnnotate", "QuantizeLayer")
    )


def _is_no_op(activation):
    return type(getattr(activation, "activation", activation)).__name__ == "NoOpActivation"
