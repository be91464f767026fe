"""Converts the graph of a float model to the graph of the relaxed model."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping

from tfmp.graph import UNQUANTIZED, Candidates, Graph, Layer, LayerOrigin
from tfmp.operators.batch_normalization import with_positive_gammas
from tfmp.operators.operator_table import fused_activations
from tfmp.search.search_settings import SearchSettings, check_bits
from tfmp.search.searched_cost import KEPT_BITS, KEPT_QUANTIZERS
from tfmp.transform.edits.activation_quantizers import with_stored_tensors
from tfmp.transform.edits.layer_plan import EIGHT_BITS, SEARCHED, LayerPlan
from tfmp.transform.edits.split_layers import with_pairwise_additions, with_separate_activations


def relaxed_graph(
    graph: Graph, plans: Mapping[str, LayerPlan], settings: Callable[[str], SearchSettings], *, integer: bool
) -> tuple[Graph, Graph]:
    """Quantizes the layers of a network as planned.

    Args:
        graph: The network, with separable convolutions split.
        plans: The plan of each layer, by name.
        settings: Function of the name of a searched layer that returns its search settings.
        integer: True to quantize every tensor that an integer network stores; False to quantize the searched layers
            only.

    Returns:
        The network in floating point, with the same layers, and the quantized network.
    """
    graph = with_positive_gammas(graph)
    if integer:
        graph = with_pairwise_additions(with_separate_activations(graph, fused_activations()))
    changed = {}
    for layer in graph.in_order():
        entry = plans.get(layer.name)
        if entry is not None and entry.status in (SEARCHED, EIGHT_BITS):
            chosen = settings(layer.name) if entry.status == SEARCHED else KEPT_SETTINGS
            changed[layer.name] = quantized_layer(graph, layer, chosen, signed_input=entry.signed_input)
    quantized = graph.replace_layers(changed)
    return graph, with_stored_tensors(quantized) if integer else quantized


# Bits of layers that are not searched.
KEPT_SETTINGS = SearchSettings(
    weight_bits=KEPT_BITS, activation_bits=KEPT_BITS, quantizer=KEPT_QUANTIZERS, signed_input=None
)


def quantized_layer(graph: Graph, layer: Layer, settings: SearchSettings, *, signed_input: bool) -> Layer:
    """Returns a layer with a kernel as a `MixedPrecision*` layer with equally probable candidates.

    Args:
        graph: The graph that calls it.
        layer: The layer, in floating point.
        settings: Its search settings.
        signed_input: True if its input can be negative; used if the settings leave it open.
    """
    around = layer.name.rpartition("/")[0]
    if around:  # layers with the same name in different nested models draw different noise
        settings = dataclasses.replace(settings, seed=zlib.crc32(f"{settings.seed}/{around}".encode()))
    if settings.signed_input is None:
        settings = dataclasses.replace(settings, signed_input=signed_input)
    quantizers = settings.quantizer_pair
    weight = _candidates(settings.weight_bits, "weight_bits", quantizers[0], True)
    activation = _candidates(settings.activation_bits, "activation_bits", quantizers[1], settings.signed_input)
    if not settings.shared_weights and layer.weights:
        weight = dataclasses.replace(weight, kernels=dict.fromkeys(weight.bits[:-1], layer.weights["kernel"]))
    config = {**settings.config(), "num_calls": len(graph.calls_of(layer.name))}
    plain = dataclasses.replace(layer, origin=LayerOrigin(config={**layer.origin.config, **config}))
    return dataclasses.replace(plain.with_candidates(weight, activation), coupled=settings.coupled)


def _candidates(bits, name, quantizer, signed) -> Candidates:
    return UNQUANTIZED if bits is None else Candidates.of(check_bits(bits, name, quantizer, signed))
