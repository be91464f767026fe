"""Reads and writes the quantization and search state of layers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.annotations import KerasLayer
from tfmp.bindings.layer_variables import CHILDREN
from tfmp.graph import UNQUANTIZED, Layer
from tfmp.mixins.mixed_precision import MixedPrecisionMixin
from tfmp.mixins.quantize_layer import QuantizeMixin


def without_search(operation: Any, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Returns a layer's arrays by path, without those of the child layers that quantize and search it."""
    if not isinstance(operation, MixedPrecisionMixin | QuantizeMixin):
        return arrays
    return {path: array for path, array in arrays.items() if path.split("/")[0] not in CHILDREN}


def read_search_state(operation: Any, *, arrays: bool) -> dict[str, Any]:
    """Returns the fields of a `tfmp.graph.Layer` that describe how it is quantized and searched, by name.

    Args:
        operation: The layer, or the operation used without one.
        arrays: If False, only the candidates and their probabilities are read.
    """
    if not isinstance(operation, MixedPrecisionMixin | QuantizeMixin):
        return {}
    weight, activation, cost, kernels = (getattr(operation, name, None) for name in CHILDREN)
    fields: dict[str, Any] = {
        "weight": UNQUANTIZED if weight is None else weight.candidates(arrays=arrays),
        "activation": UNQUANTIZED if activation is None else activation.candidates(arrays=arrays),
        "coupled": getattr(operation, "is_coupled", False),
    }
    if arrays and cost is not None:
        fields["price"] = np.asarray(cost.price)
    if arrays and kernels is not None:
        by_bits = {bits: kernel.numpy() for bits, kernel in zip(kernels.bits, kernels.kernels, strict=True)}
        fields["weight"] = dataclasses.replace(fields["weight"], kernels=by_bits)
    return fields


def write_search_state(built: KerasLayer, layer: Layer) -> None:
    """Writes the search state in the graph to a layer; kernel ranges that the graph lacks follow from the kernel.

    Args:
        built: The layer, with its own weights written.
        layer: Its `Layer` in the graph.
    """
    if not isinstance(built, MixedPrecisionMixin | QuantizeMixin):
        return
    weight, activation, cost, kernels = (getattr(built, name, None) for name in CHILDREN)
    if weight is not None:
        weight.load(layer.weight)
        if not layer.weight.states:
            weight.calibrate(np.asarray(built.kernel))
    if activation is not None:
        activation.load(layer.activation)
    if cost is not None and layer.price is not None:
        cost.set_price(layer.price)
    if kernels is not None:
        for bits, kernel in zip(kernels.bits, kernels.kernels, strict=True):
            if bits in layer.weight.kernels:
                kernel.assign(layer.weight.kernels[bits])
