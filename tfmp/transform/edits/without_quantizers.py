"""Removes the quantizers from a graph."""

import dataclasses

import numpy as np

from tfmp.graph import UNQUANTIZED, Graph, Layer

_SEARCH = ("weight_selector", "activation_selector", "selection_cost", "candidate_kernels")


def in_floating_point(graph: Graph) -> Graph:
    """Returns a relaxed or fixed network without its quantizers: same names, same weights, nothing rounded."""
    return graph.replace_layers({layer.name: _unquantized(layer) for layer in graph.in_order() if layer.is_quantized})


def own_weights(layer: Layer) -> dict[str, np.ndarray]:
    """A layer's arrays without those of its selectors and of kernels that single candidates have."""
    return {path: value for path, value in layer.weights.items() if path.split("/")[0] not in _SEARCH}


def _unquantized(layer):
    if layer.kind == "quantize":
        return Layer(layer.name, "other", config={"config": {"name": layer.name, "activation": "linear"}})
    config = {**layer.config["config"], "weight_bits": None, "activation_bits": None}
    return dataclasses.replace(
        layer,
        config={**layer.config, "config": config},
        weights=own_weights(layer),
        weight=UNQUANTIZED,
        activation=UNQUANTIZED,
        coupled=False,
    )
