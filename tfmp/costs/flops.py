"""Cost `flops`: multiply-accumulates at any precision."""

from collections.abc import Sequence

import numpy as np

from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, LayerShape


class Flops(Cost):
    """Multiply-accumulates for one sample, |f| w h / s**2, groups counted (EdMIPS, eq. 8).

    They do not depend on bits, so as a budget they cannot guide a search over bits.
    """

    name = "flops"
    unit = "multiply-accumulates"

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        return np.full((len(weight_formats), len(activation_formats)), float(shape.macs))
