"""Finds the layers whose 8-bit input has a grid already."""

from tfmp.graph import Graph, Layer
from tfmp.operators import MOVES, operator_of

_BITS = 8


def stored_by(graph: Graph, layer: Layer) -> Layer | None:
    """Returns the `Quantize` layer that rounds the input of a layer to 8 bits, through layers that only move values.

    Args:
        graph: The network.
        layer: One of its layers.

    Returns:
        None if the layer's own input has other bits or is open, or if nothing, or not always the same layer, quantizes
        the tensors that it reads.
    """
    if layer.shape is None or layer.activation.bits != (_BITS,):
        return None
    sources = {_source(graph, call.inputs[0]).name for call in graph.calls_of(layer.name)}
    source = graph.layers[sources.pop()] if len(sources) == 1 else None
    return source if source is not None and source.kind == "quantize" and source.activation.bits == (_BITS,) else None


def _source(graph: Graph, tensor: str) -> Layer:
    call = graph.producer(tensor)
    while (operator := operator_of(graph.layer_of(call))) and operator.reads == MOVES and not operator.joins:
        call = graph.producer(call.inputs[0])
    return graph.layer_of(call)
