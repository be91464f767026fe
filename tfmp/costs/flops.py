"""Cost `flops`: multiply-accumulates at any precision."""

import numpy as np

from tfmp.costs.cost import Cost


class Flops(Cost):
    """Multiply-accumulates for one sample, |f| w h / s**2, groups counted (EdMIPS, eq. 8).

    They do not depend on bits, so as a budget they cannot guide a search over bits.
    """

    name = "flops"
    unit = "multiply-accumulates"

    def table(self, shape, weight_formats, activation_formats):
        return np.full((len(weight_formats), len(activation_formats)), float(shape.macs))
