"""What the numbers are that a network returns."""

from tfmp.types import Graph


def holds_probabilities(graph: Graph, tensor: str) -> bool:
    """True if a tensor is what comes from a softmax, be it that a quantizer stores it."""
    layer = graph.layer_of(graph.producer(tensor))
    while layer.kind in ("quantize", "identity"):
        tensor = graph.producer(tensor).inputs[0]
        layer = graph.layer_of(graph.producer(tensor))
    return layer.kind == "softmax" or layer.attributes.get("activation") == "softmax"
