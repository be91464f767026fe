"""A range of budgets to tune over."""

import dataclasses

from tfmp import costs
from tfmp.search.budget import Budget


@dataclasses.dataclass(frozen=True)
class BudgetRange:
    """All limits of a cost between two values, for oracles that draw or bisect instead of choosing from a list.

    Args:
        cost: Name of a cost, or a `tfmp.costs.Cost`.
        low: The smallest limit for the whole network, in the cost's unit; None for the cost of the cheapest assignment.
        high: The largest limit; None for the cost with all layers at the most bits of their candidates.

    Example:
        >>> BudgetRange("tflite_bytes", high=20_000).high
        20000.0
    """

    cost: costs.CostLike
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                limit = Budget(self.cost, limit=getattr(self, name)).limit  # with its errors
                object.__setattr__(self, name, limit)
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"`low` must be below `high`. Received: {self.low:g} and {self.high:g}")
        costs.get(self.cost)

    def within(self, smallest: float, largest: float) -> "BudgetRange":
        """Returns the part of the range between a network's cheapest and most expensive assignment.

        Raises:
            ValueError: If there is none.
        """
        low = smallest if self.low is None else max(self.low, smallest)
        high = largest if self.high is None else min(self.high, largest)
        if low >= high:
            unit = costs.get(self.cost).unit
            raise ValueError(
                f"The range from {low:g} to {high:g} {unit} has no feasible budget: the assignments of the network "
                f"cost from {smallest:g} to {largest:g}. Move `low` and `high`, or offer other bits."
            )
        return BudgetRange(self.cost, low, high)
