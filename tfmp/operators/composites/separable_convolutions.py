"""Separable convolutions: a depthwise convolution, and one of 1x1 that keeps the name, the bias and the activation."""

from collections.abc import Mapping

import numpy as np

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.composites.part import Part, activation_of, shared_arguments
from tfmp.operators.convolutions import read_activation
from tfmp.operators.operator import Operator, Parts

_OF_KERNEL = ("initializer", "regularizer", "constraint")
_OF_WINDOW = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
_OF_OUTPUT = ("filters", "activation", "use_bias", "activity_regularizer", *(f"bias_{part}" for part in _OF_KERNEL))


def _parts(depthwise_kind: str, pointwise_kind: str) -> Parts:
    def parts(graph: Graph, layer: Layer, call: Call) -> tuple[Part, Part] | None:
        if layer.attributes["padding"] == "causal" or layer.attributes.get("data_format") == "channels_first":
            return None  # depthwise layers have no causal padding
        channels_in = graph.tensors[call.inputs[0]].shape[-1]
        if channels_in is None:
            return None
        channels = channels_in * layer.attributes["depth_multiplier"]
        depthwise = _depthwise(graph, layer, call, depthwise_kind, channels_in)
        return depthwise, _pointwise(graph, layer, call, pointwise_kind, channels)

    return parts


def _depthwise(graph: Graph, layer: Layer, call: Call, kind: str, channels: int) -> Part:
    config = {**shared_arguments(layer, "data_format", *_OF_WINDOW), "use_bias": False}
    config |= {f"depthwise_{part}": layer.origin.config[f"depthwise_{part}"] for part in _OF_KERNEL}
    multiplier = layer.attributes["depth_multiplier"]
    return Part(
        "depthwise",
        kind,
        (0,),
        (*graph.tensors[call.outputs[0]].shape[1:-1], channels * multiplier),
        config,
        {key: layer.attributes[key] for key in _OF_WINDOW},
        {"kernel": (*layer.attributes["kernel_size"], channels, multiplier)},
        _renamed(layer, {"depthwise_kernel": "kernel"}),
    )


def _pointwise(graph: Graph, layer: Layer, call: Call, kind: str, channels: int) -> Part:
    config = {**shared_arguments(layer, "data_format", *_OF_OUTPUT), "kernel_size": 1}
    config |= {f"kernel_{part}": layer.origin.config[f"pointwise_{part}"] for part in _OF_KERNEL}
    ones = (1,) * len(layer.attributes["kernel_size"])
    attributes = {"strides": ones, "padding": "valid", "dilation_rate": ones, "groups": 1}
    attributes |= activation_of(layer)
    shape = graph.tensors[call.outputs[0]].shape[1:]
    filters = layer.origin.config["filters"]
    bias = {"bias": (filters,)} if layer.attributes["use_bias"] else {}
    weights = _renamed(layer, {"pointwise_kernel": "kernel", **{path: path for path in bias}})
    sizes = {"kernel": (*ones, channels, filters), **bias}
    return Part("", kind, ("depthwise",), shape, config, attributes, sizes, weights)


def _renamed(layer: Layer, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    return {new: layer.weights[old] for old, new in names.items() if old in layer.weights}


def _separable(class_name: str, kind: str, *parts: str) -> Operator:
    return Operator(
        kind,
        classes={class_name: read_activation},
        forms={class_name: "without causal padding"},
        parts=_parts(*parts),
        channels="filters",
    )


OPERATORS = (
    _separable("SeparableConv2D", "separable_conv2d", "depthwise_conv2d", "conv2d"),
    _separable("SeparableConv1D", "separable_conv1d", "depthwise_conv1d", "conv1d"),
)
