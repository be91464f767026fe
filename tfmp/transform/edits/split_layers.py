"""Splits layers into several layers that together compute the same."""

import dataclasses
import math
from collections.abc import Collection

from tfmp.bindings.layer_kinds import layer_shape
from tfmp.bindings.left_alone import unknown_activation
from tfmp.graph import Call, Graph, Layer, LayerOrigin, Tensor, TensorRef
from tfmp.operators import TABLE, operator_of
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import function_kind

_OF_KERNEL = ("initializer", "regularizer", "constraint")
_SHARED = ("trainable", "dtype", "data_format")
_OF_WINDOW = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
_OF_OUTPUT = ("filters", "activation", "use_bias", "activity_regularizer", *(f"bias_{part}" for part in _OF_KERNEL))


def with_split_separables(graph: Graph) -> Graph:
    """Splits each separable convolution into `<name>_depthwise`, and `<name>` with its bias and activation."""
    for layer in list(graph.in_order()):
        causal = layer.attributes.get("padding") == "causal"  # which depthwise layers do not have
        if _parts(layer) and layer.attributes.get("data_format") != "channels_first" and not causal:
            graph = _with_split(graph, layer)
    return graph


def _with_split(graph, layer):
    name = graph.unused_name(f"{layer.name}_depthwise")
    calls, tensors = [], dict(graph.tensors)
    for call in graph.calls:
        if call.layer == layer.name:
            output, source = graph.tensors[call.outputs[0]], graph.tensors[call.inputs[0]]
            tensor = name + call.outputs[0].removeprefix(layer.name)
            channels = source.shape[-1] * layer.attributes["depth_multiplier"]
            tensors[tensor] = Tensor(tensor, (*output.shape[:-1], channels), output.dtype)
            calls.append(dataclasses.replace(call, layer=name, outputs=(tensor,)))
            call = dataclasses.replace(call, args=(TensorRef(tensor),), kwargs={})
        calls.append(call)
    graph = dataclasses.replace(graph, calls=tuple(calls), tensors=tensors)
    return graph.replace_layers({name: _depthwise(graph, layer, name), layer.name: _pointwise(graph, layer)})


def _depthwise(graph, layer, name):
    config = {**_picked(layer, (*_SHARED, *_OF_WINDOW)), "use_bias": False, "name": name}
    config |= {f"depthwise_{part}": layer.origin.config[f"depthwise_{part}"] for part in _OF_KERNEL}
    attributes = {key: layer.attributes[key] for key in _OF_WINDOW}
    return _part(graph, layer, name, config, attributes, size=attributes["kernel_size"])


def _pointwise(graph, layer):
    config = {**_picked(layer, (*_SHARED, *_OF_OUTPUT, "name")), "kernel_size": 1}
    config |= {f"kernel_{part}": layer.origin.config[f"pointwise_{part}"] for part in _OF_KERNEL}
    rank = len(layer.attributes["kernel_size"])
    attributes = {"strides": (1,) * rank, "padding": "valid", "dilation_rate": (1,) * rank, "groups": 1}
    attributes["activation"] = layer.attributes.get("activation", "linear")
    attributes["activation_kind"] = layer.attributes.get("activation_kind")
    return _part(graph, layer, layer.name, config, attributes, size=(1,) * rank)


def _part(graph, layer, name, config, attributes, *, size):
    """Returns one of the two layers; its kernel is `[*size, in, depth_multiplier]` or `[*size, in, filters]`."""
    depthwise = name != layer.name
    kind = _parts(layer)[0 if depthwise else 1]
    call = next(call for call in graph.calls if call.layer == name)
    source, output = (graph.tensors[tensor].shape for tensor in (call.inputs[0], call.outputs[0]))
    kernel_shape = (*size, source[-1], layer.attributes["depth_multiplier"] if depthwise else output[-1])
    kernel = layer.weights.get("depthwise_kernel" if depthwise else "pointwise_kernel")
    weights = {} if kernel is None else {"kernel": kernel}
    num_parameters = math.prod(kernel_shape)
    if not depthwise and layer.attributes["use_bias"]:
        weights |= {path: value for path, value in layer.weights.items() if path == "bias"}
        num_parameters += output[-1]
    shape = layer_shape(
        name,
        kind,
        attributes,
        source,
        output,
        kernel_shape=kernel_shape,
        reads_network_input=depthwise and _is_input(graph, call.inputs[0]),
    )
    part = Layer(
        name,
        kind,
        origin=LayerOrigin(config=config),
        attributes=attributes,
        weights=weights,
        shape=shape,
        trainable=layer.trainable,
        num_parameters=num_parameters,
    )
    return part.with_candidates()


def _parts(layer):
    return TABLE[layer.kind].parts if layer.kind in TABLE else ()


def _picked(layer, keys):
    return {key: layer.origin.config[key] for key in keys if key in layer.origin.config}


def _is_input(graph, tensor):
    return graph.layer_of(graph.producer(tensor)).kind == "input"


def with_separate_activations(graph: Graph, fused: Collection[str] = ()) -> Graph:
    """Moves the activations of layers with a kernel to separate layers after them, `<name>_activation`.

    Args:
        graph: The network.
        fused: Names of activations that are not moved; `"linear"` never is.
    """
    for layer in list(graph.in_order()):
        name = layer.attributes.get("activation", "linear")
        if layer.shape is None or name == "linear" or name in fused:
            continue
        for call in graph.calls_of(layer.name):
            new_name = graph.unused_name(f"{layer.name}_activation")
            config = {"name": new_name, "activation": layer.origin.config["activation"]}
            known = layer.attributes.get("activation_kind") or function_kind(name, graph.framework)
            kind, attributes = known or (OTHER, unknown_activation(config))
            activation_layer = Layer(new_name, kind, origin=LayerOrigin(config=config), attributes=attributes)
            graph = graph.insert_after(call.outputs[0], activation_layer)
        origin = layer.origin.replace_config(activation="linear")
        attributes = {**layer.attributes, "activation": "linear", "activation_kind": None}
        changed = dataclasses.replace(layer, origin=origin, attributes=attributes)
        graph = graph.replace_layers({layer.name: changed})
    return graph


def with_pairwise_additions(graph: Graph) -> Graph:
    """Splits the additions and multiplications of more than two tensors of one shape, because the runtime takes two.

    The user's layer computes the last one; the others become layers `<name>_part`, with stored outputs.
    """
    calls, layers, tensors = [], dict(graph.layers), dict(graph.tensors)
    for call in graph.calls:
        layer, addends = graph.layer_of(call), list(call.inputs)
        operator = operator_of(layer)
        if operator is None or not operator.pairwise or len({tensors[name].shape for name in addends}) > 1:
            calls.append(call)
            continue
        while len(addends) > 2:
            name = dataclasses.replace(graph, layers=layers, tensors=tensors).unused_name(f"{layer.name}_part")
            layers[name] = _renamed(layer, name)
            tensors[name] = dataclasses.replace(tensors[call.outputs[0]], name=name)
            calls.append(Call(name, (_references(addends[:2]),), {}, (name,), call.within))
            addends[:2] = [name]
        if len(addends) < len(call.inputs):
            call = dataclasses.replace(call, args=(_references(addends),), kwargs={})
        calls.append(call)
    return dataclasses.replace(graph, calls=tuple(calls), layers=layers, tensors=tensors)


def _renamed(layer: Layer, name) -> Layer:
    return dataclasses.replace(layer, name=name, origin=layer.origin.replace_config(name=name))


def _references(names):
    return [TensorRef(name) for name in names]
