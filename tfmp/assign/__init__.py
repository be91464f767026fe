"""Bit assignments: from a searched model, from sensitivities, from validation data, and baselines by name."""

from tfmp.assign.assign_by_name import by_name
from tfmp.assign.assign_by_sensitivity import by_sensitivity
from tfmp.assign.assign_by_validation import by_validation
from tfmp.assign.baselines import BudgetProblem, baseline_names, needs_scores, register_baseline
from tfmp.assign.random_assignment import at_random

__all__ = [
    "BudgetProblem",
    "at_random",
    "baseline_names",
    "by_name",
    "by_sensitivity",
    "by_validation",
    "needs_scores",
    "register_baseline",
]
