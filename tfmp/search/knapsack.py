"""Exact knapsack over pairs of weight and activation bits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import optimize, sparse

from tfmp.search.searched_cost import SearchedCost

_LARGEST_LOSS = 1e4
_ROUNDING = 1e-12  # relative: difference of sums of the same costs in another order
_CLOSE = 1e-9  # relative: smaller differences of limits are ignored
_SMALLEST, _UNBOUNDED = 1e-300, 1e300


class Knapsack:
    """A multiple-choice knapsack: one pair of bits per layer, every sum of costs within its limit, exactly.

    Args:
        priced: `SearchedCost`s of one graph.
        limits: A limit for each.
        floors: A lower limit for each, or None for no lower limit; only for costs of a single sum.

    Attributes:
        names: The layers.
        layer: `[options]` array: the layer index of each option. The options of all layers are in one list.
        bits: `[options, 2]` array: weight and activation bits.
        cost: `[rows, options]` array, one row per bounded sum.
        bound: `[rows]` array.
    """

    def __init__(
        self,
        priced: Sequence[SearchedCost],
        limits: Sequence[float],
        *,
        floors: Sequence[float | None] | None = None,
    ):
        self._priced, self._limits, self.names = list(priced), list(limits), list(priced[0].names)
        layers = [priced[0].graph.layers[name] for name in self.names]
        self._pairs = [layer.pairs for layer in layers]
        self.layer = np.repeat(np.arange(len(layers)), [len(pairs) for pairs in self._pairs])
        self.bits = np.array(
            [
                (layer.weight.bits[i], layer.activation.bits[j])
                for layer, pairs in zip(layers, self._pairs, strict=True)
                for i, j in pairs
            ]
        )
        rows = [(sum, limit) for each, limit in zip(priced, limits, strict=True) for sum in each.sums]
        self.cost = np.stack([self.in_order(sum.tables) for sum, _ in rows])
        self.bound = np.array([limit - sum.constant for sum, limit in rows], np.float64)
        for each, floor in zip(priced, floors or (), strict=False):
            if floor is not None:
                (sum,) = each.sums
                self.cost = np.vstack([self.cost, -self.in_order(sum.tables)])
                self.bound = np.append(self.bound, sum.constant - floor)

    def in_order(self, tables: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the entries of all layers' tables in the order of the options."""
        return np.array(
            [tables[name][pair] for name, pairs in zip(self.names, self._pairs, strict=True) for pair in pairs],
            np.float64,
        )

    def assignment(self, chosen: np.ndarray) -> dict[str, tuple[int, int]]:
        """Returns a dict of layer name to pair of bits, from one option per layer."""
        pairs = self.bits[chosen].tolist()
        return {name: (weight, activation) for name, (weight, activation) in zip(self.names, pairs, strict=True)}

    def options(self, bits: Mapping[str, tuple[int, int]]) -> np.ndarray:
        """Returns one option per layer: those of an assignment of candidates."""
        wanted = np.array([bits[name] for name in self.names])[self.layer]
        return np.flatnonzero((self.bits == wanted).all(axis=1))

    def solve(self, value: np.ndarray, *, at_least: np.ndarray | None = None) -> np.ndarray:
        """Returns one option per layer with the largest sum of values and every cost within its bound.

        Args:
            value: `[options]` array.
            at_least: One option per layer, itself a solution; no layer may get fewer bits than it has there.

        Raises:
            ValueError: If no assignment is within all bounds.
        """
        chosen = self.find(value, at_least=at_least)
        if chosen is None:
            raise ValueError(_reason(self._priced, self._limits))
        return chosen

    def find(
        self, value: np.ndarray, *, at_least: np.ndarray | None = None, among: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Like `solve`, but returns None if there is no solution.

        Args:
            value: As in `solve`.
            at_least: As in `solve`.
            among: `[options]` mask of the options that may be chosen, at least one per layer; None for all.
        """
        allowed = np.ones(len(self.layer), bool) if at_least is None else self.reaching(at_least)
        if among is not None:
            allowed &= among
        cheapest = np.stack([self._of_layers(np.min, np.where(allowed, row, np.inf)) for row in self.cost])
        slack, rounding = self.bound - cheapest.sum(axis=1), _ROUNDING * np.abs(self.bound)
        if (slack < -rounding).any():
            return None
        excess = self.cost - cheapest[:, self.layer]
        allowed &= (excess <= (slack + rounding)[:, None]).all(axis=0)
        if not self._of_layers(np.any, allowed).all():
            return None
        best = self._of_layers(np.max, np.where(allowed, value, -np.inf))
        loss = np.where(allowed, best[self.layer] - value, 0)
        loss *= _LARGEST_LOSS / max(loss.max(), _SMALLEST)  # the solver treats sums within 1e-6 as equal
        # It also treats a row as met within 1e-6: in units of a small part of the budget, that is little.
        unit = np.maximum(np.maximum(slack, rounding), _SMALLEST) / 1e4
        one_each = sparse.csr_matrix((np.ones(len(self.layer)), (self.layer, np.arange(len(self.layer)))))
        rows = np.where(allowed, excess, 0) / unit[:, None]
        constraints = [
            optimize.LinearConstraint(one_each, 1, 1),
            optimize.LinearConstraint(rows, -np.inf, np.maximum(slack, 0) / unit),
        ]
        while True:
            result = optimize.milp(
                loss,
                constraints=constraints,
                integrality=np.ones(len(self.layer)),
                bounds=optimize.Bounds(0, allowed.astype(float)),
                options={"mip_rel_gap": 0.0},
            )
            if result.x is None:
                return None
            chosen = np.flatnonzero(result.x > 0.5)
            if (excess[:, chosen].sum(axis=1) <= slack + rounding).all():
                return chosen
            # It exceeds a bound by less than the solver's tolerance: exclude this solution.
            excluded = np.zeros(len(self.layer))
            excluded[chosen] = 1
            constraints.append(optimize.LinearConstraint(excluded[None], -np.inf, len(chosen) - 1))

    def fill(self, chosen: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Gives single layers more bits while they fit, for gains that are zero or too small for the solver."""
        chosen = chosen.copy()
        while True:
            richer = self.reaching(chosen) & (self.bits != self.bits[chosen][self.layer]).any(axis=1)
            fits = richer & self.fitting(chosen)
            if not fits.any():
                return chosen
            gain, share = value - value[chosen][self.layer], self.share(chosen)
            best = max(np.flatnonzero(fits), key=lambda option: (gain[option], share[option]))
            chosen[self.layer[best]] = best

    def reaching(self, chosen: np.ndarray) -> np.ndarray:
        """Returns an `[options]` mask of the options with at least the bits of their layer's chosen option."""
        return (self.bits >= self.bits[chosen][self.layer]).all(axis=1)

    def fitting(self, chosen: np.ndarray) -> np.ndarray:
        """Returns an `[options]` mask of the options that can replace their layer's chosen option within the bounds."""
        left = self.bound - self.cost[:, chosen].sum(axis=1)
        return (self._more(chosen) <= np.maximum(left, 0)[:, None]).all(axis=0)

    def excess(self, chosen: np.ndarray) -> np.ndarray:
        """Returns an `[options]` array: the excess with each option chosen, as a share of the bounds."""
        cost = self.cost[:, chosen].sum(axis=1)[:, None] + self._more(chosen)
        over = cost - self.bound[:, None] - _ROUNDING * np.abs(self.bound)[:, None]
        return (np.maximum(over, 0) / np.maximum(np.abs(self.bound), _SMALLEST)[:, None]).sum(axis=0)

    def share(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Returns an `[options]` array: the cost of each, less that of the chosen option, as a share of the bounds."""
        cost = self.cost if chosen is None else self._more(chosen)
        return (cost / np.maximum(np.abs(self.bound), _SMALLEST)[:, None]).sum(axis=0)

    def _more(self, chosen: np.ndarray) -> np.ndarray:
        return self.cost - self.cost[:, chosen][:, self.layer]

    def _of_layers(self, function: Callable[[np.ndarray], Any], values: np.ndarray) -> np.ndarray:
        """Returns a `[layers]` array: a function of the values of each layer's options."""
        return np.array([function(values[self.layer == index]) for index in range(len(self.names))])


def least(priced: Sequence[SearchedCost], limits: Sequence[float], target: SearchedCost) -> float:
    """Returns the smallest feasible value of a `SearchedCost` while others are within their limits.

    Args:
        priced: The others.
        limits: A limit for each, which can be met.
        target: The cost to be minimized.
    """
    gain = -Knapsack([target], [_UNBOUNDED]).cost[np.argmax([sum.smallest for sum in target.sums])]

    def cost_within(limit: float) -> float:
        knapsack = Knapsack([*priced, target], [*limits, limit])
        chosen = knapsack.find(gain)
        return np.inf if chosen is None else target.of(knapsack.assignment(chosen))

    low, high = target.smallest, cost_within(_UNBOUNDED)
    # For a single sum, this is the minimum.
    while len(target.sums) > 1 and high - low > _CLOSE * abs(high):
        middle = (low + high) / 2
        smallest = cost_within(middle)
        low, high = (middle, high) if np.isinf(smallest) else (low, smallest)
    return high


def _reason(priced: Sequence[SearchedCost], limits: Sequence[float]) -> str:
    """Returns the reason why no assignment is within all limits."""
    names = [f"`{each.cost.name}`" for each in priced]
    for name, each, limit in zip(names, priced, limits, strict=True):
        smallest = least([], [], each)
        if smallest > limit:
            return (
                f"No assignment costs {limit:g} {each.cost.unit} of {name} or less: the cheapest costs {smallest:g}. "
                "Raise the budget or offer fewer bits."
            )
    for count in range(1, len(priced)):
        smallest, limit = least(priced[:count], limits[:count], priced[count]), limits[count]
        if smallest > limit:
            return (
                f"Each budget can be met, but not all together: with {', '.join(names[:count])} within budget the "
                f"cheapest assignment costs {smallest:g} {priced[count].cost.unit} of {names[count]}, whose budget is "
                f"{limit:g}. Raise a budget or offer fewer bits."
            )
    raise RuntimeError(f"The solver found no assignment within {limits} of {', '.join(names)}, although there is one.")
