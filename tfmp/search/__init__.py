"""Search control: budgets, Lagrange multipliers, discretization. No Keras."""

from tfmp.search.budget import Budget
from tfmp.search.lagrangian import DualAscent, FixedMultiplier, Multiplier
from tfmp.search.search_settings import SearchSettings
from tfmp.search.searched_cost import SearchedCost

__all__ = [
    "Budget",
    "DualAscent",
    "FixedMultiplier",
    "Multiplier",
    "SearchSettings",
    "SearchedCost",
]
