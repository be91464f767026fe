"""Cost `flops`: multiply-accumulates at any precision."""

import numpy as np

from tfmp.costs.cost import Cost


class Flops(Cost):
    """|f| w h / s**2: multiply-accumulates for one sample, groups counted (EdMIPS, eq. 8).

    It does not depend on the formats: as a budget it cannot guide a search over bits.
    """

    name = "flops"
    unit = "multiply-accumulates"

    def table(self, shape, weight_formats, activation_formats):
        return np.full((len(weight_formats), len(activation_formats)), float(shape.macs))
