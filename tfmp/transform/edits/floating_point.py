"""Converts a quantized graph to floating point, for exports."""

import dataclasses

import numpy as np

from tfmp.graph import Graph, Layer, LayerOrigin
from tfmp.graph.runtime_limits import LARGEST_KERNEL_CODE
from tfmp.operators.comparisons import INDICES, index_attributes
from tfmp.transform.fold import check_fixed
from tfmp.transform.stored_values import calibrated_quantizer, kernel_codes


def in_floating_point(graph: Graph) -> Graph:
    """Returns a relaxed or fixed network without its quantizers, with the same names and weights."""
    return graph.replace_layers({layer.name: _unquantized(layer) for layer in graph.in_order() if layer.is_quantized})


def _unquantized(layer):
    if layer.kind == "quantize":
        return Layer(layer.name, "other", origin=LayerOrigin(config={"name": layer.name, "activation": "linear"}))
    return dataclasses.replace(layer.with_candidates(), coupled=False, price=None)


def dequantized(graph: Graph) -> tuple[Graph, dict[str, np.ndarray]]:
    """Returns a fixed network with every quantized kernel replaced by codes * scale, and the codes.

    It computes the same at inference. Inputs of layers are quantized as before.

    Returns:
        The network, and by layer name the int8 codes of the kernels that fit into int8.

    Raises:
        ValueError: If bits are open, nothing is quantized, or a range was never calibrated.
    """
    check_fixed(graph)
    changed, codes = {}, {}
    for layer in graph.in_order():
        if not layer.activation.formats[0].is_float:
            calibrated_quantizer(layer)
        if layer.weight.formats[0].is_float:
            continue
        integers, scale = kernel_codes(layer)
        if np.abs(integers).max() <= LARGEST_KERNEL_CODE:
            codes[layer.name] = integers.astype(np.int8)
        weights = {**layer.weights, "kernel": (integers * scale).astype(np.float32)}
        changed[layer.name] = dataclasses.replace(layer.with_candidates(activation=layer.activation), weights=weights)
    return graph.replace_layers(changed), codes


def with_plain_indices(graph: Graph) -> Graph:
    """Returns a network with the `argmax` and `argmin` of TensorFlow in place of those of Keras 3.

    Those of Keras 3 distinguish negative zeros, by a bit operation that the runtime does not have.
    """
    if graph.framework != "keras":
        return graph
    changed = {}
    for call in graph.calls:
        layer = graph.layer_of(call)
        if layer.kind in INDICES and layer.name not in changed:
            changed[layer.name] = _plain(graph, call, layer)
    return graph.replace_layers(changed)


def _plain(graph, call, layer) -> Layer:
    output = graph.tensors[call.outputs[0]]
    config = {
        "name": layer.name,
        "kind": layer.kind,
        "input_grids": (None,),
        "grid": None,
        "attributes": index_attributes(graph, call),
        "output_shape": output.shape,
        "constant_shapes": {},
        "output_dtype": output.dtype,
    }
    return Layer(layer.name, layer.kind, origin=LayerOrigin(config=config))
