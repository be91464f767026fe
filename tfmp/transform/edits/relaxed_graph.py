"""Turns the graph of a float model into that of the searchable model."""

from collections.abc import Callable, Mapping

from tfmp.graph import Graph
from tfmp.operators.affine_chain import FUSED_ACTIVATIONS
from tfmp.operators.batch_normalization import with_positive_gammas
from tfmp.search.search_settings import SearchSettings
from tfmp.transform.edits.activation_quantizers import with_stored_tensors
from tfmp.transform.edits.layer_plan import EIGHT_BITS, SEARCHED, LayerPlan
from tfmp.transform.edits.quantized_layer import KEPT_SETTINGS, quantized_layer
from tfmp.transform.edits.split_layers import with_pairwise_additions, with_separate_activations


def relaxed_graph(
    graph: Graph, plans: Mapping[str, LayerPlan], settings: Callable[[str], SearchSettings], *, integer: bool
) -> tuple[Graph, Graph]:
    """Quantizes the layers of a network as planned.

    Args:
        graph: The network, its separable convolutions split.
        plans: What becomes of each layer.
        settings: Function of the name of a searched layer that returns how it is searched.
        integer: True if every tensor that integers have to store gets a quantizer; False if only the searched layers
            are quantized.

    Returns:
        The network in floating point, with the layers that both have; and the quantized one.
    """
    graph = with_positive_gammas(graph)
    if integer:
        graph = with_pairwise_additions(with_separate_activations(graph, FUSED_ACTIVATIONS))
    changed = {}
    for layer in graph.in_order():
        entry = plans.get(layer.name)
        if entry is not None and entry.status in (SEARCHED, EIGHT_BITS):
            chosen = settings(layer.name) if entry.status == SEARCHED else KEPT_SETTINGS
            changed[layer.name] = quantized_layer(graph, layer, chosen, signed_input=entry.signed_input)
    quantized = graph.replace_layers(changed)
    return graph, with_stored_tensors(quantized) if integer else quantized
