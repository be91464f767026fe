"""Cost `model_size`: bits of the packed weights."""

import dataclasses

import numpy as np

from tfmp.checks import check_flag
from tfmp.costs.cost import Cost


@dataclasses.dataclass(frozen=True)
class ModelSize(Cost):
    """b_w |f|: bits of all kernels if every weight took exactly its bits, plus 32 for each number that stays in float.

    A bound that no container reaches below 8 bits except at 2 and 4; `tflite_bytes` counts a file's containers.

    Args:
        kernels_only: True to leave out the numbers that stay in float, biases, normalizations and layers that are left
            alone: the papers' C_size.

    Example:
        >>> cost = ModelSize(kernels_only=True)

    Reference: DualPrecision, eq. 6 (kernels alone)
    """

    kernels_only: bool = False

    name = "model_size"
    unit = "bits"
    per_call = False

    def __post_init__(self):
        check_flag("kernels_only", self.kernels_only)

    def table(self, shape, weight_formats, activation_formats):
        weight_bits = np.array([format.bits for format in weight_formats], np.float64)
        return np.repeat(shape.num_weights * weight_bits[:, None], len(activation_formats), axis=1)

    def overhead(self, graph):
        if self.kernels_only:
            return 0.0
        kernels = sum(layer.shape.num_weights for layer in graph.layers.values() if layer.shape is not None)
        return 32.0 * (sum(layer.num_parameters for layer in graph.layers.values()) - kernels)
