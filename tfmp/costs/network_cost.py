"""Costs of whole networks."""

import numpy as np

from tfmp.types import Graph


def tables(graph: Graph, cost, layers=None) -> dict[str, np.ndarray]:
    """Returns the price tables of layers that multiply, times the number of their calls where each call pays.

    Args:
        graph: The network.
        cost: A `Cost`.
        layers: Names of the layers to price; None for all that multiply.

    Returns:
        Layer name to `[weight candidates, activation candidates]` array in the cost's unit.
    """
    calls = {name: 0 for name in graph.layers}
    for call in graph.calls:
        calls[call.layer] += 1
    return {
        layer.name: cost.table(layer.shape, layer.weight.formats, layer.activation.formats)
        * (calls[layer.name] if cost.per_call else 1)
        for layer in graph.in_order()
        if layer.shape is not None and (layers is None or layer.name in layers)
    }


def layer_cost(layer, table, assignment=None) -> float:
    """Returns one layer's entry of its table under an assignment, or its expectation where there is none."""
    if assignment is None or not layer.is_searched:
        return float(np.asarray(layer.weight.probabilities) @ table @ np.asarray(layer.activation.probabilities))
    weight_bits, activation_bits = assignment[layer.name]
    return float(table[layer.weight.bits.index(weight_bits), layer.activation.bits.index(activation_bits)])


def network_cost(graph: Graph, cost, assignment=None) -> float:
    """Returns the cost of a network: the sum over its layers and what is no such sum.

    Args:
        graph: The network, in floating point, relaxed or fixed.
        cost: A `Cost`.
        assignment: Bits of the searched layers; without it a relaxed network has its expected cost (EdMIPS, eq. 12).

    Returns:
        Float in the cost's unit.
    """
    priced = tables(graph, cost)
    layers = sum(layer_cost(graph.layers[name], table, assignment) for name, table in priced.items())
    return layers + cost.overhead(graph)
