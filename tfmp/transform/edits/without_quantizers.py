"""Removes the quantizers from a graph."""

import dataclasses

from tfmp.graph import Graph, Layer, LayerOrigin


def in_floating_point(graph: Graph) -> Graph:
    """Returns a relaxed or fixed network without its quantizers: same names, same weights, nothing rounded."""
    return graph.replace_layers({layer.name: _unquantized(layer) for layer in graph.in_order() if layer.is_quantized})


def _unquantized(layer):
    if layer.kind == "quantize":
        return Layer(layer.name, "other", origin=LayerOrigin(config={"name": layer.name, "activation": "linear"}))
    return dataclasses.replace(layer.with_candidates(), coupled=False, price=None)
