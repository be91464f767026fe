"""Turns a quantized graph into one of floating point, as exports need it."""

import dataclasses

import numpy as np

from tfmp.graph import Graph, Layer, LayerOrigin
from tfmp.graph.runtime_limits import LARGEST_KERNEL_CODE
from tfmp.operators.comparisons import INDICES, index_attributes
from tfmp.transform.fold import check_fixed
from tfmp.transform.stored_values import calibrated_quantizer, kernel_codes


def in_floating_point(graph: Graph) -> Graph:
    """Returns a relaxed or fixed network without its quantizers: same names, same weights, nothing rounded."""
    return graph.replace_layers({layer.name: _unquantized(layer) for layer in graph.in_order() if layer.is_quantized})


def _unquantized(layer):
    if layer.kind == "quantize":
        return Layer(layer.name, "other", origin=LayerOrigin(config={"name": layer.name, "activation": "linear"}))
    return dataclasses.replace(layer.with_candidates(), coupled=False, price=None)


def dequantized(graph: Graph) -> tuple[Graph, dict[str, np.ndarray]]:
    """Returns a fixed network with every quantized kernel replaced by its codes times their scale, and the codes.

    It computes the same at inference. Inputs of layers are quantized as before.

    Returns:
        The network; and by layer name the codes of its kernel as INT8, for those that INT8 can hold.

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
    """Returns a network whose `argmax` and `argmin` are those of TensorFlow.

    Those of Keras 3 tell zeros from negative zeros, by an operation on bits that the runtime lacks.
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
