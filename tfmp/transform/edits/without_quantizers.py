"""Removes the quantizers from a graph."""

import dataclasses

from tfmp.graph import UNQUANTIZED, Graph, Layer


def in_floating_point(graph: Graph) -> Graph:
    """Returns a relaxed or fixed network without its quantizers: same names, same weights, nothing rounded."""
    return graph.replace_layers({layer.name: _unquantized(layer) for layer in graph.in_order() if layer.is_quantized})


def _unquantized(layer):
    if layer.kind == "quantize":
        return Layer(layer.name, "other", config={"config": {"name": layer.name, "activation": "linear"}})
    config = {**layer.config["config"], "weight_bits": None, "activation_bits": None}
    return dataclasses.replace(
        layer,
        config={**layer.config, "config": config},
        weight=UNQUANTIZED,
        activation=UNQUANTIZED,
        coupled=False,
        price=None,
    )
