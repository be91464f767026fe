"""Relaxed choice among quantizers of one tensor."""

from tfmp.selection.expected_cost import expected_cost
from tfmp.selection.mixture import mixture, quantized, relative_variance
from tfmp.selection.relaxed_choice import RELAXATIONS, check_relaxation, probabilities, relaxed_choice

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
