"""Replaces quantized kernels by floating-point values."""

import dataclasses

import numpy as np

from tfmp.graph import Graph
from tfmp.graph.runtime_limits import LARGEST_KERNEL_CODE
from tfmp.transform.fold import check_fixed
from tfmp.transform.stored_values import calibrated_quantizer, kernel_codes


def dequantized(graph: Graph) -> tuple[Graph, dict[str, np.ndarray]]:
    """Returns a fixed network with every quantized kernel replaced by its codes times their scale, and the codes.

    It computes the same at inference. Inputs of layers are quantized as before.

    Returns:
        The network; and by layer name the codes of its kernel as INT8, for those that INT8 can hold.

    Raises:
        ValueError: If bits are open, nothing is quantized, or a range was never calibrated.
    """
    check_fixed(graph)
    changed, codes = {}, {}
    for layer in graph.in_order():
        if not layer.activation.formats[0].is_float:
            calibrated_quantizer(layer)
        if layer.weight.formats[0].is_float:
            continue
        integers, scale = kernel_codes(layer)
        if np.abs(integers).max() <= LARGEST_KERNEL_CODE:
            codes[layer.name] = integers.astype(np.int8)
        weights = {**layer.weights, "kernel": (integers * scale).astype(np.float32)}
        changed[layer.name] = dataclasses.replace(layer.with_candidates(activation=layer.activation), weights=weights)
    return graph.replace_layers(changed), codes
