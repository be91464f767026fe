"""Differentiable choice among the quantizers of one tensor."""

from tfmp.relaxation.mixture import mixture, quantized, relative_variance
from tfmp.relaxation.relaxed_choice import RELAXATIONS, check_relaxation, expected_cost, probabilities, relaxed_choice

__all__ = [
    "RELAXATIONS",
    "check_relaxation",
    "expected_cost",
    "mixture",
    "probabilities",
    "quantized",
    "relative_variance",
    "relaxed_choice",
]
