"""Turns a layer into one that quantizes its kernel and input."""

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

from tfmp.graph import UNQUANTIZED, Candidates, Graph, Layer, LayerOrigin
from tfmp.mixins.bit_selector import check_bits
from tfmp.mixins.mixed_precision import quantizer_pair
from tfmp.search.chosen_layers import KEPT_BITS, KEPT_QUANTIZERS

# Of layers that are not searched.
KEPT_ARGUMENTS: dict[str, Any] = {
    "weight_bits": (KEPT_BITS,),
    "activation_bits": (KEPT_BITS,),
    "quantizer": KEPT_QUANTIZERS,
}


def quantized_layer(graph: Graph, layer: Layer, arguments: Mapping[str, Any], *, signed_input: bool) -> Layer:
    """Returns a layer with a kernel as a `MixedPrecision*` one, its candidates equally probable.

    Args:
        graph: The graph that calls it.
        layer: The layer, in floating point.
        arguments: Of the `MixedPrecision*` layer: `weight_bits`, `activation_bits`, `quantizer`, ...; bits are None for
            a tensor that stays in floating point.
        signed_input: True if its input can be negative.
    """
    weight_quantizer, activation_quantizer = quantizer_pair(arguments["quantizer"])
    weight = _uniform(arguments["weight_bits"], "weight_bits", weight_quantizer, True)
    if not arguments.get("shared_weights", True) and layer.weights:
        weight = dataclasses.replace(weight, kernels=dict.fromkeys(weight.bits[:-1], layer.weights["kernel"]))
    around = layer.name.rpartition("/")[0]
    if around and "seed" in arguments:  # layers of one name in several nested models draw noise of their own
        arguments = {**arguments, "seed": zlib.crc32(f"{arguments['seed']}/{around}".encode())}
    others = {key: value for key, value in arguments.items() if key not in ("weight_bits", "activation_bits")}
    others |= {"signed_input": signed_input, "num_calls": sum(call.layer == layer.name for call in graph.calls)}
    activation = _uniform(arguments["activation_bits"], "activation_bits", activation_quantizer, signed_input)
    plain = dataclasses.replace(layer, origin=LayerOrigin(config=layer.origin.config))
    return dataclasses.replace(
        plain.with_candidates(weight, activation, **others), coupled=arguments.get("coupled", False)
    )


def _uniform(bits, name, quantizer, signed) -> Candidates:
    return UNQUANTIZED if bits is None else Candidates.of(check_bits(bits, name, quantizer, signed))
