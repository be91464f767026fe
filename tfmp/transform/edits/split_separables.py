"""Splits separable convolutions into depthwise and pointwise ones."""

import dataclasses
import math

from tfmp.bindings.layer_shapes import layer_shape
from tfmp.graph import Graph, Layer, Tensor, TensorRef
from tfmp.operators import TABLE

_OF_KERNEL = ("initializer", "regularizer", "constraint")
_SHARED = ("trainable", "dtype", "data_format")
_OF_WINDOW = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
_OF_OUTPUT = ("filters", "activation", "use_bias", "activity_regularizer", *(f"bias_{part}" for part in _OF_KERNEL))
_IN_FLOATING_POINT = {"weight_bits": None, "activation_bits": None}


def with_split_separables(graph: Graph) -> Graph:
    """Makes two layers of each separable convolution: `<name>_depthwise`, and `<name>` with its bias and activation."""
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
            made = name + call.outputs[0].removeprefix(layer.name)
            channels = source.shape[-1] * layer.attributes["depth_multiplier"]
            tensors[made] = Tensor(made, (*output.shape[:-1], channels), output.dtype)
            calls.append(dataclasses.replace(call, layer=name, outputs=(made,)))
            call = dataclasses.replace(call, args=(TensorRef(made),), kwargs={})
        calls.append(call)
    graph = dataclasses.replace(graph, calls=tuple(calls), tensors=tensors)
    return graph.replace_layers({name: _depthwise(graph, layer, name), layer.name: _pointwise(graph, layer)})


def _depthwise(graph, layer, name):
    config = {**_picked(layer, (*_SHARED, *_OF_WINDOW)), "use_bias": False, "name": name}
    config |= {f"depthwise_{part}": layer.config["config"][f"depthwise_{part}"] for part in _OF_KERNEL}
    attributes = {key: layer.attributes[key] for key in _OF_WINDOW}
    return _part(graph, layer, name, config, attributes, size=attributes["kernel_size"])


def _pointwise(graph, layer):
    config = {**_picked(layer, (*_SHARED, *_OF_OUTPUT, "name")), "kernel_size": 1}
    config |= {f"kernel_{part}": layer.config["config"][f"pointwise_{part}"] for part in _OF_KERNEL}
    rank = len(layer.attributes["kernel_size"])
    attributes = {"strides": (1,) * rank, "padding": "valid", "dilation_rate": (1,) * rank, "groups": 1}
    attributes["activation"] = layer.attributes.get("activation", "linear")
    attributes["activation_kind"] = layer.attributes.get("activation_kind")
    return _part(graph, layer, layer.name, config, attributes, size=(1,) * rank)


def _part(graph, layer, name, config, attributes, *, size):
    """One of the two layers; its kernel is `[*size, in, depth_multiplier]` or `[*size, in, filters]`."""
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
    return Layer(
        name,
        kind,
        config={"config": {**config, **_IN_FLOATING_POINT}},
        attributes=attributes,
        weights=weights,
        shape=shape,
        trainable=layer.trainable,
        num_parameters=num_parameters,
    )


def _parts(layer):
    return TABLE[layer.kind].parts if layer.kind in TABLE else ()


def _picked(layer, keys):
    return {key: layer.config["config"][key] for key in keys if key in layer.config["config"]}


def _is_input(graph, tensor):
    return graph.layer_of(graph.producer(tensor)).kind == "input"
