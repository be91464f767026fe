"""What drives a search: budgets, multipliers, discretization. It knows no Keras."""

from tfmp.search.budget import Budget
from tfmp.search.categoricals import Categoricals
from tfmp.search.cost_gradient import CostGradient, ExactGradient, Reinforce
from tfmp.search.joint_settings import JointSettings
from tfmp.search.lagrangian import DualAscent, FixedMultiplier, Multiplier
from tfmp.search.network_cost import NetworkCost
from tfmp.search.oracle import Oracle
from tfmp.search.searched_cost import SearchedCost

__all__ = [
    "Budget",
    "Categoricals",
    "CostGradient",
    "DualAscent",
    "ExactGradient",
    "FixedMultiplier",
    "JointSettings",
    "Multiplier",
    "NetworkCost",
    "Oracle",
    "Reinforce",
    "SearchedCost",
]
