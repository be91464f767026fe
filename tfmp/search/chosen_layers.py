"""Selects the layers whose bits are searched."""

from tfmp.graph import Graph, Layer

# Reasons of layers that are not searched but computed in integers.
KEPT_BITS, KEPT_QUANTIZERS = 8, ("linear", "moving_range")


def chosen_layers(graph: Graph) -> tuple[Layer, ...]:
    """Returns the layers whose bits are searched, in the order in which they first run.

    In a model relaxed with one candidate, or a fixed model, these are the layers with chosen bits, without those that
    are kept at 8 bits.
    """
    if graph.searched:
        return graph.searched
    quantized = [layer for layer in graph.in_order() if layer.shape is not None and layer.is_quantized]
    return tuple(layer for layer in quantized if not _is_kept(layer)) or tuple(quantized)


def _is_kept(layer: Layer) -> bool:
    bits = layer.weight.bits == layer.activation.bits == (KEPT_BITS,)
    return bits and (layer.weight.quantizer, layer.activation.quantizer) == KEPT_QUANTIZERS
