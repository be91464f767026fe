"""Moves what a search adds to a layer between the layer and the graph."""

import dataclasses

import numpy as np

from tfmp.bindings.layer_variables import CHILDREN
from tfmp.graph import UNQUANTIZED, Layer
from tfmp.mixins.mixed_precision import MixedPrecisionMixin
from tfmp.mixins.quantize_layer import QuantizeMixin


def without_search(operation, arrays):
    """Returns a layer's arrays by path without those of the child layers that quantize and search it."""
    if not isinstance(operation, MixedPrecisionMixin | QuantizeMixin):
        return arrays
    return {path: array for path, array in arrays.items() if path.split("/")[0] not in CHILDREN}


def read_search_state(operation, *, arrays):
    """Returns the fields of a `tfmp.graph.Layer` that say how a layer is quantized and searched, by name.

    Args:
        operation: The layer, or the operation used without one.
        arrays: If False, only the candidates and their probabilities.
    """
    if not isinstance(operation, MixedPrecisionMixin | QuantizeMixin):
        return {}
    weight, activation, cost, kernels = (getattr(operation, name, None) for name in CHILDREN)
    fields = {
        "weight": UNQUANTIZED if weight is None else weight.candidates(arrays=arrays),
        "activation": UNQUANTIZED if activation is None else activation.candidates(arrays=arrays),
        "coupled": getattr(operation, "is_coupled", False),
    }
    if arrays and cost is not None:
        fields["price"] = np.asarray(cost.price)
    if arrays and kernels is not None:
        by_bits = {bits: np.asarray(kernel) for bits, kernel in zip(kernels.bits, kernels.kernels, strict=True)}
        fields["weight"] = dataclasses.replace(fields["weight"], kernels=by_bits)
    return fields


def write_search_state(built, layer: Layer):
    """Gives a layer what the graph knows of its search; a kernel whose ranges nobody knows sets them itself.

    Args:
        built: The layer, its own weights written.
        layer: What the graph says about it.
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
