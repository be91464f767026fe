"""Identifies the network whose sensitivities were measured."""

from collections.abc import Mapping
from typing import Any

from tfmp.files.run_identity import array_digest, digest
from tfmp.graph import Graph


def network_identity(graph: Graph) -> dict[str, Any]:
    """Returns JSON that is equal for networks with the same searched layers and float weights.

    Settings that scores do not depend on, such as the relaxation, and what a search has learned are not in it.

    Args:
        graph: A relaxed network with its weights.
    """
    layers = {
        layer.name: digest([layer.shape, layer.weight.quantizer, layer.activation.quantizer, layer.activation.signed])
        for layer in graph.searched
    }
    arrays = [array for layer in graph.in_order() for array in layer.weights.values()]
    return {"name": graph.name, "layers": layers, "weights": array_digest(*arrays)}


def check_same_network(
    scores: Mapping[str, Mapping[str, Mapping[int, float]]], measured: Mapping[str, Any], graph: Graph
) -> None:
    """Raises `ValueError` with the difference unless a graph is the network that was measured.

    Args:
        scores: Layer name to `{"weights": {bits: score}, "activations": {bits: score}}`.
        measured: The `network_identity` of the measured network.
        graph: A relaxed network with its weights.
    """
    difference = network_difference(scores, measured, graph)
    if difference:
        raise ValueError(
            f"The sensitivities are not of model `{graph.name}`: {difference} Expected the relaxed model that they "
            "were measured on. Measure this one with `tfmp.measure_sensitivity`."
        )


def network_difference(
    scores: Mapping[str, Mapping[str, Mapping[int, float]]], measured: Mapping[str, Any], graph: Graph
) -> str:
    """Returns the difference of a graph from the network that was measured, in words; "" if there is none."""
    names = [layer.name for layer in graph.searched]
    if set(names) != set(scores):
        unknown = [name for name in scores if name not in names]
        missing = [name for name in names if name not in scores]
        return (
            f"measured layers that it does not search: {', '.join(unknown) or 'none'}; searched layers that were not "
            f"measured: {', '.join(missing) or 'none'}."
        )
    for layer in graph.searched:
        for tensor, candidates in (("weights", layer.weight), ("activations", layer.activation)):
            known = tuple(scores[layer.name][tensor])
            if known != candidates.bits:
                return f"layer `{layer.name}` has the candidates {candidates.bits} for {tensor}; {known} were measured."
    current = network_identity(graph)
    changed = [name for name in names if current["layers"][name] != measured["layers"].get(name)]
    if changed:
        return f"layer `{changed[0]}` has another shape or quantizer."
    if current["weights"] != measured["weights"]:
        return "its weights differ; were they trained after the measurement?"
    return ""
