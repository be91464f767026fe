"""Cost `activation_memory`: bits of the inputs of layers."""

from collections.abc import Sequence

import numpy as np

from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, LayerShape


class ActivationMemory(Cost):
    """Bits of the layers' inputs for one sample, b_a times the number of values (EdMIPS, eq. 7).

    A tensor that two layers read counts twice. For the memory that is needed at once, use `PeakActivationMemory`.

    Example:
        >>> budget = tfmp.Budget("activation_memory", like_uniform=(4, 4))
    """

    name = "activation_memory"
    unit = "bits"

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        activation_bits = np.array([format.bits for format in activation_formats], np.float64)
        return np.repeat(shape.num_inputs * activation_bits[None, :], len(weight_formats), axis=0)
