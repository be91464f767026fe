"""Bits of the packed weights."""

import numpy as np

from tfmp.costs.cost import Cost


class ModelSize(Cost):
    """b_w |f|: bits of all kernels if every weight took exactly its bits, plus 32 for each number that stays in float.

    A bound that no container reaches below 8 bits except at 2 and 4; `tflite_bytes` counts a file's containers.

    Reference: DualPrecision, eq. 6 (kernels alone)
    """

    name = "model_size"
    unit = "bits"
    per_call = False

    def table(self, shape, weight_formats, activation_formats):
        weight_bits = np.array([format.bits for format in weight_formats], np.float64)
        return np.repeat(shape.num_weights * weight_bits[:, None], len(activation_formats), axis=1)

    def overhead(self, graph):
        kernels = sum(layer.shape.num_weights for layer in graph.layers.values() if layer.shape is not None)
        return 32.0 * (sum(layer.num_parameters for layer in graph.layers.values()) - kernels)
