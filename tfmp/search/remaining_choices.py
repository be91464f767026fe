"""Completes an assignment of which some choices are decided."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfmp.graph import Layer
from tfmp.search.cost_correction import Choice
from tfmp.search.knapsack import Knapsack
from tfmp.search.lagrangian import Penalty
from tfmp.search.undecided import Probabilities

SPENT = 0.98  # share of the budget that an assignment is to spend, where one does
_SMALLEST_PROBABILITY = 1e-12


class RemainingChoices:
    """Finds the most probable assignment that keeps all decided choices and spends the budget.

    The assignment is within all budgets and spends at least 98 % of what an assignment can spend of the budget that is
    tightest by now. Without budgets, each choice is the most probable one.

    Args:
        penalties: The penalties of the search.
    """

    def __init__(self, penalties: Sequence[Penalty]):
        self.priced = [penalty.priced for penalty in penalties if penalty.limit is not None]
        self.limits = [penalty.limit for penalty in penalties if penalty.limit is not None]
        self._largest: dict[int, float] = {}

    def candidates(self, probabilities: Probabilities, decided: Mapping[Choice, int]) -> dict[Choice, int]:
        """Returns the index of a candidate for every tensor; of coupled tensors, both have the same.

        Args:
            probabilities: Layer name to the arrays of its weight and activation probabilities.
            decided: The choices that are decided, and the index of the candidate of each.
        """
        if not self.priced:
            return {
                (name, axis): int(p.argmax()) for name, pair in probabilities.items() for axis, p in enumerate(pair)
            }
        values, among = {}, {}
        for name, pair in probabilities.items():
            logs = [np.log(np.maximum(p, _SMALLEST_PROBABILITY)) for p in pair]
            values[name] = np.diag(logs[0]) if self._layer(name).coupled else np.add.outer(*logs)
            among[name] = np.ones(values[name].shape)
        for (name, axis), index in decided.items():
            mask = np.zeros(among[name].shape[axis])
            mask[index] = 1
            among[name] = among[name] * (mask[:, None] if axis == 0 else mask)
        bits = self._solve(probabilities, values, among)
        return {
            (name, axis): tensor.bits.index(bits[name][axis])
            for name in probabilities
            for axis, tensor in enumerate((self._layer(name).weight, self._layer(name).activation))
        }

    def _solve(
        self,
        probabilities: Probabilities,
        values: Mapping[str, np.ndarray],
        among: Mapping[str, np.ndarray],
    ) -> dict[str, tuple[int, int]]:
        spent = [each.expected(probabilities) / limit for each, limit in zip(self.priced, self.limits, strict=True)]
        tightest = int(np.argmax(spent))
        floors: list[float | None] = [None] * len(self.priced)
        if len(self.priced[tightest].sums) == 1:
            floors[tightest] = SPENT * min(self.limits[tightest], self._most(tightest))
        for bounds in (floors, None):  # another budget may have been the tightest one so far
            knapsack = Knapsack(self.priced, self.limits, floors=bounds)
            chosen = knapsack.find(knapsack.in_order(values), among=knapsack.in_order(among) > 0)
            if chosen is not None:
                return knapsack.assignment(chosen)
        raise ValueError("No assignment with the decided bits is within the budget.")

    def _most(self, index: int) -> float:
        """Returns the largest cost that an assignment within all budgets has."""
        if index not in self._largest:
            knapsack = Knapsack(self.priced, self.limits)
            chosen = knapsack.solve(knapsack.in_order(self.priced[index].sums[0].tables))
            self._largest[index] = self.priced[index].of(knapsack.assignment(chosen))
        return self._largest[index]

    def _layer(self, name: str) -> Layer:
        return self.priced[0].graph.layers[name]
