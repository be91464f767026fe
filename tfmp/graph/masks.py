"""Masks, which Keras passes from layer to layer beside the tensors."""

from tfmp.graph.graph import Graph


def has_masks(graph: Graph) -> bool:
    """Returns True if a layer gives later ones a mask; a part of the network alone does not see it."""
    origins = [layer.origin for layer in graph.layers.values()]
    return any(origin.class_name == "Masking" or origin.config.get("mask_zero") for origin in origins)
