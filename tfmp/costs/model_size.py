"""Cost `model_size`: bits of the packed weights."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmp.checks import check_flag
from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, Graph, LayerShape


@dataclasses.dataclass(frozen=True)
class ModelSize(Cost):
    """Bits of all kernels with exactly their bits per weight, b_w |f|, plus 32 for each number that stays in float.

    It is a lower bound: files store weights in containers of 8, 4 or 2 bits, which `tflite_bytes` counts.

    Args:
        kernels_only: True to omit the numbers that stay in float (biases, normalizations, layers that are not
            quantized), as C_size of the papers.

    Example:
        >>> cost = ModelSize(kernels_only=True)

    Reference: DualPrecision, eq. 6 (kernels only)
    """

    kernels_only: bool = False

    name = "model_size"
    unit = "bits"
    per_call = False

    def __post_init__(self) -> None:
        check_flag("kernels_only", self.kernels_only)

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        weight_bits = np.array([format.bits for format in weight_formats], np.float64)
        return np.repeat(shape.num_weights * weight_bits[:, None], len(activation_formats), axis=1)

    def overhead(self, graph: Graph) -> float:
        if self.kernels_only:
            return 0.0
        kernels = sum(layer.shape.num_weights for layer in graph.layers.values() if layer.shape is not None)
        return 32.0 * (sum(layer.num_parameters for layer in graph.layers.values()) - kernels)
