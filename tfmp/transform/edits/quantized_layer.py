"""Turns a layer into one that quantizes its kernel and input."""

import dataclasses
import zlib

from tfmp.graph import UNQUANTIZED, Candidates, Graph, Layer, LayerOrigin
from tfmp.search.chosen_layers import KEPT_BITS, KEPT_QUANTIZERS
from tfmp.search.search_settings import SearchSettings, check_bits

# Of layers that are not searched.
KEPT_SETTINGS = SearchSettings(
    weight_bits=KEPT_BITS, activation_bits=KEPT_BITS, quantizer=KEPT_QUANTIZERS, signed_input=None
)


def quantized_layer(graph: Graph, layer: Layer, settings: SearchSettings, *, signed_input: bool) -> Layer:
    """Returns a layer with a kernel as a `MixedPrecision*` one, its candidates equally probable.

    Args:
        graph: The graph that calls it.
        layer: The layer, in floating point.
        settings: How it is searched or quantized.
        signed_input: True if its input can be negative, where the settings do not say it.
    """
    around = layer.name.rpartition("/")[0]
    if around:  # layers of one name in several nested models draw noise of their own
        settings = dataclasses.replace(settings, seed=zlib.crc32(f"{settings.seed}/{around}".encode()))
    if settings.signed_input is None:
        settings = dataclasses.replace(settings, signed_input=signed_input)
    quantizers = settings.quantizer_pair
    weight = _candidates(settings.weight_bits, "weight_bits", quantizers[0], True)
    activation = _candidates(settings.activation_bits, "activation_bits", quantizers[1], settings.signed_input)
    if not settings.shared_weights and layer.weights:
        weight = dataclasses.replace(weight, kernels=dict.fromkeys(weight.bits[:-1], layer.weights["kernel"]))
    config = {**settings.config(), "num_calls": sum(call.layer == layer.name for call in graph.calls)}
    plain = dataclasses.replace(layer, origin=LayerOrigin(config={**layer.origin.config, **config}))
    return dataclasses.replace(plain.with_candidates(weight, activation), coupled=settings.coupled)


def _candidates(bits, name, quantizer, signed) -> Candidates:
    return UNQUANTIZED if bits is None else Candidates.of(check_bits(bits, name, quantizer, signed))
