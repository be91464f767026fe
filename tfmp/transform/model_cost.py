"""`tfmp.cost`: the cost of a model."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfmp import costs, quantizers
from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import BitAssignment, Candidates, Layer
from tfmp.search.searched_cost import chosen_layers, with_stored_inputs
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.fix import check_assignment


def cost(
    model: KerasModel, cost: costs.CostLike, assignment: BitAssignment | Mapping[str, tuple[int, int]] | None = None
) -> float:
    """Returns the cost of a whole network.

    Args:
        model: A Keras model: in floating point, relaxed or fixed.
        cost: Name of a cost (`tfmp.costs.names()`), or a `tfmp.costs.Cost`.
        assignment: For a relaxed model, the bits of its searched layers; without it, the expected cost.

    Returns:
        Float in the cost's unit; layers without a price (pooling, normalization) cost nothing.

    Raises:
        ValueError: If the cost is unknown, the assignment is for another model, or its bits are out of range.
    """
    graph = with_parts(framework_of(model).read(model, weights=False))
    if assignment is not None:
        assignment = BitAssignment.of(assignment)
        check_assignment(graph, assignment)
        changed = {layer.name: _with_bits(layer, *assignment[layer.name]) for layer in chosen_layers(graph)}
        graph = with_stored_inputs(graph.replace_layers(changed), changed)
    return costs.network_cost(graph, costs.get(cost))


def _with_bits(layer: Layer, weight_bits: int, activation_bits: int) -> Layer:
    """Returns the layer at one pair of bits, candidates or not."""
    selections: dict[str, Any] = {}
    for tensor, selection, bits in (
        ("weight", layer.weight, weight_bits),
        ("activation", layer.activation, activation_bits),
    ):
        if not selection.formats[0].is_float:
            chosen = quantizers.get(selection.quantizer, bits=bits, signed=selection.signed)
            selections[tensor] = Candidates.of([chosen])
    return dataclasses.replace(layer, **selections)
