"""Cost `bitops`: bit operations."""

from collections.abc import Sequence

import numpy as np

from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, LayerShape


class BitOps(Cost):
    """Bit operations for one sample, b_w b_a |f| w h / s**2, groups counted (EdMIPS, eq. 9); a float counts 32 bits."""

    name = "bitops"
    unit = "bit operations"

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        weight_bits = np.array([format.bits for format in weight_formats], np.float64)
        activation_bits = np.array([format.bits for format in activation_formats], np.float64)
        return shape.macs * np.outer(weight_bits, activation_bits)
