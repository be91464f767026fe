"""Equalizes the ranges of channels, for kernels with one step for all of them."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfmp.graph import Call, Graph, Layer
from tfmp.operators import kernel_of
from tfmp.operators.batch_normalization import fusable_normalization

_LARGEST_FACTOR = 1e3


class _Pair(NamedTuple):
    """A layer with a kernel, the normalization after it or "", and the layer with a kernel that reads its channels."""

    first: str
    normalization: str
    second: str


def equalized(graph: Graph) -> Graph:
    """Returns a network that computes the same, with channels whose weights are of similar size.

    Between two layers with a kernel and nothing but a normalization and a ReLU without an upper bound, or nothing at
    all, every channel c is divided by s_c and the weights that read it are multiplied by s_c, with

        s_c = sqrt(r1_c / r2_c),

    the largest magnitudes r1_c of the weights that compute it, normalization included, and r2_c of those that read it.
    A kernel before a normalization gets channels of equal magnitude, which the normalization divides again. Channels
    without weights stay. Only layers that are called once change.

    Args:
        graph: A network with its weights, in floating point or quantized.

    Reference: Nagel et al., 2019, section 4.1, https://arxiv.org/abs/1906.04721
    """
    for pair in _pairs(graph):
        first, second = graph.layers[pair.first], graph.layers[pair.second]
        changed = _between(first, second, graph.layers.get(pair.normalization))
        graph = graph.replace_layers({layer.name: layer for layer in changed})
    return graph


def _pairs(graph):
    for call in graph.calls:
        layer, normalization = graph.layer_of(call), fusable_normalization(graph, call)
        if layer.shape is None or not _is_alone(graph, call):
            continue
        end, homogeneous = call, layer.attributes.get("activation", "linear") in ("linear", "relu")
        if normalization is not None:
            homogeneous = homogeneous and layer.attributes.get("activation", "linear") == "linear"
            homogeneous = homogeneous and {"gamma", "beta"} <= normalization.weights.keys()
            end = graph.readers(call.outputs[0])[0]
        while homogeneous and _is_alone(graph, end):
            end = graph.readers(end.outputs[0])[0]
            reader = graph.layer_of(end)
            if reader.shape is not None:
                if _is_alone(graph, end, readers=False):
                    yield _Pair(layer.name, "" if normalization is None else normalization.name, reader.name)
                break
            homogeneous = reader.kind == "relu" and reader.attributes.get("max_value") is None


def _is_alone(graph: Graph, call: Call, *, readers: bool = True) -> bool:
    """Returns True if a layer is called once, shares no variables, and one call reads its output."""
    layer = graph.layer_of(call)
    owners = {owner for other in graph.layers.values() for owner, _ in other.shared.values()}
    if len(graph.calls_of(layer.name)) > 1 or layer.shared or layer.name in owners:
        return False
    output = call.outputs[0]
    return not readers or (len(graph.readers(output)) == 1 and output not in graph.output_names)


def _between(first: Layer, second: Layer, normalization: Layer | None):
    """Yields the layers of a pair with equalized channels."""
    computes = np.abs(kernel_of(first).by_channel(first.weights["kernel"])).max(axis=0).astype(np.float64)
    reads = _by_input(second, np.abs(second.weights["kernel"])).astype(np.float64)
    if computes.shape != reads.shape:  # channels that are grouped, or flattened together with positions
        return
    if normalization is None:
        factor = _factor(computes, reads)
        weights = {"kernel": _along_channels(first, 1 / factor)}
        weights["bias"] = 1 / factor
        yield _scaled(first, weights)
    else:
        deviation = np.sqrt(normalization.weights["moving_variance"] + normalization.attributes["epsilon"])
        factor = _factor(computes * np.abs(normalization.weights["gamma"]) / deviation, reads)
        equal = np.where(computes > 0, computes / max(computes.max(), 1e-30), 1.0)
        equal = np.clip(equal, 1 / _LARGEST_FACTOR, None)
        yield _scaled(first, {"kernel": _along_channels(first, 1 / equal), "bias": 1 / equal})
        yield _scaled(normalization, {"moving_mean": 1 / equal, "gamma": equal / factor, "beta": 1 / factor})
    yield _scaled(second, {"kernel": _along_inputs(second, factor)})


def _factor(computes, reads):
    usable = (computes > 0) & (reads > 0)
    factor = np.sqrt(np.where(usable, computes, 1) / np.where(usable, reads, 1))
    return np.clip(factor, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR)


def _scaled(layer, factors):
    weights = {
        path: (value * factors[path]).astype(value.dtype) if path in factors else value
        for path, value in layer.weights.items()
    }
    return dataclasses.replace(layer, weights=weights)


def _along_channels(layer, numbers):
    return kernel_of(layer).along_channels(numbers, layer.weights["kernel"].shape)


def _input_axis(layer):
    return kernel_of(layer).axes.index("i")


def _by_input(layer, magnitudes):
    axis = _input_axis(layer)
    return magnitudes.max(axis=tuple(other for other in range(magnitudes.ndim) if other != axis))


def _along_inputs(layer, numbers):
    shape = [1] * layer.weights["kernel"].ndim
    shape[_input_axis(layer)] = -1
    return numbers.reshape(shape)
