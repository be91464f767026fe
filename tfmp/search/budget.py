"""Budgets: upper limits of a cost."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from tfmp import costs
from tfmp.checks import check_instances, check_integers, check_number
from tfmp.graph import Graph
from tfmp.search.knapsack import Knapsack
from tfmp.search.searched_cost import SearchedCost


@dataclasses.dataclass(frozen=True)
class Budget:
    """An upper bound on a cost.

    Args:
        cost: Name of a cost, or a `tfmp.costs.Cost`.
        limit: The bound for the whole network, in the cost's unit, as in `tfmp.cost`.
        like_uniform: `(weight_bits, activation_bits)`: the bound is the cost of the searched layers with all of them
            at this pair. Other layers do not count.

    Raises:
        ValueError: Unless exactly one of `limit` and `like_uniform` is given, positive.

    Warns:
        UserWarning: If the cost is of files that need a package which is not installed.

    Example:
        >>> Budget("bitops", like_uniform=(2, 2)).like_uniform
        (2, 2)
    """

    cost: costs.CostLike
    limit: float | None = None
    like_uniform: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if (self.limit is None) == (self.like_uniform is None):
            raise ValueError(
                "A budget takes either `limit` or `like_uniform`. "
                f"Received: limit={self.limit}, like_uniform={self.like_uniform}"
            )
        if self.limit is not None:
            object.__setattr__(self, "limit", check_number("limit", self.limit, above=0))
        if self.like_uniform is not None:
            hint = "Give (weight_bits, activation_bits)"
            pair = check_integers("like_uniform", self.like_uniform, count=2, at_least=1, at_most=32, hint=hint)
            object.__setattr__(self, "like_uniform", pair)
        cost = costs.get(self.cost)  # raises an error for an unknown name before training
        runtime = cost.file_target
        if runtime is not None and not runtime.is_installed:
            warnings.warn(
                f"`{cost.name}` is of a file for {runtime.words}, which can be exported only where the package "
                f"`{runtime.package}` is installed. It is not. Before training: pip install 'tfmp[{runtime.name}]'",
                stacklevel=3,
            )

    def limit_for(self, graph: Graph) -> float:
        """Returns the limit of the sum over the searched layers of a graph, in the cost's unit.

        Raises:
            ValueError: If no assignment of the graph meets it; the message names the smallest feasible value.
        """
        priced = SearchedCost(graph, self.cost)
        outside = 0.0
        if self.like_uniform is not None:
            bound = priced.uniform(*self.like_uniform)
        elif self.limit is not None:
            outside = priced.outside
            bound = self.limit - outside
        if bound < priced.smallest * (1 - 1e-12):
            included = " (layers outside the search included)" if outside else ""
            raise ValueError(
                f"The budget of `{priced.cost.name}` cannot be met: the cheapest assignment costs "
                f"{priced.smallest + outside:g} {priced.cost.unit}{included}, "
                f"the budget is {bound + outside:g}. Raise the budget or offer fewer bits."
            )
        return bound


def budgets_of(budget: Budget | Sequence[Budget]) -> tuple[Budget, ...]:
    """Returns a budget, or a list of budgets, as a tuple.

    Raises:
        TypeError: If it is neither.
        ValueError: If two budgets have costs of one name.
    """
    budgets = budget if isinstance(budget, list | tuple) and budget else (budget,)
    budgets = check_instances("budget", budgets, Budget, "`tfmp.Budget`, or one")
    names = [costs.get(each.cost).name for each in budgets]
    if len(set(names)) < len(names):
        raise ValueError(
            f"Budgets must bound costs of different names. Received: {', '.join(names)}. Keep the tighter one, or give "
            "a cost another name."
        )
    return budgets


def priced_limits(budget: Budget | Sequence[Budget], graph: Graph) -> tuple[list[SearchedCost], list[float]]:
    """Returns the costs of one or several budgets in a graph, and the limit of each.

    Raises:
        ValueError: If no assignment meets them all; the message names the budget that cannot be met, and its smallest
            feasible value.
    """
    budgets = budgets_of(budget)
    limits = [each.limit_for(graph) for each in budgets]
    priced = [SearchedCost(graph, each.cost) for each in budgets]
    # Each limit alone was compared with the cheapest bits of every tensor, which coupled candidates may not allow.
    knapsack = Knapsack(priced, limits)
    knapsack.solve(np.zeros(len(knapsack.layer)))
    return priced, limits
