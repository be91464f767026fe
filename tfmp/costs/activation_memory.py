"""Cost `activation_memory`: bits of the inputs of layers."""

import numpy as np

from tfmp.costs.cost import Cost


class ActivationMemory(Cost):
    """b_a times the values of the input: bits of what the layers read for one sample (EdMIPS, eq. 7).

    A tensor that two layers read counts for both. What stands in memory at one time is `PeakActivationMemory`.

    Example:
        >>> budget = tfmp.Budget("activation_memory", like_uniform=(4, 4))
    """

    name = "activation_memory"
    unit = "bits"

    def table(self, shape, weight_formats, activation_formats):
        activation_bits = np.array([format.bits for format in activation_formats], np.float64)
        return np.repeat(shape.num_inputs * activation_bits[None, :], len(weight_formats), axis=0)
