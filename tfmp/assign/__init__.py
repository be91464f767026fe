"""Bit assignments: from a searched model, from sensitivities, from validation data, at random."""

from tfmp.assign.assign_by_sensitivity import by_sensitivity
from tfmp.assign.assign_by_validation import by_validation
from tfmp.assign.random_assignment import at_random

__all__ = ["at_random", "by_sensitivity", "by_validation"]
