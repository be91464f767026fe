"""What drives a search: budgets, multipliers, discretization. It knows no Keras."""

from tfmp.search.budget import Budget, SearchedCost
from tfmp.search.lagrangian import DualAscent, FixedMultiplier, Multiplier

__all__ = ["Budget", "DualAscent", "FixedMultiplier", "Multiplier", "SearchedCost"]
