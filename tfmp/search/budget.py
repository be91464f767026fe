"""How much a network may cost."""

import dataclasses
import functools
import math
import numbers

import numpy as np

from tfmp import costs, quantizers
from tfmp.types import Graph, Selection


@dataclasses.dataclass(frozen=True)
class Budget:
    """An upper bound on a cost.

    Args:
        cost: Name of a cost, or a `tfmp.costs.Cost`.
        limit: The bound for the whole network, in the cost's unit, as `tfmp.cost` measures it.
        like_uniform: `(weight_bits, activation_bits)`: what the searched layers cost with every one of them at that
            pair. Layers outside the search are left out of both sides.

    Raises:
        ValueError: Unless exactly one of `limit` and `like_uniform` is given, positive.

    Example:
        >>> Budget("bitops", like_uniform=(2, 2)).like_uniform
        (2, 2)
    """

    cost: str | costs.Cost
    limit: float | None = None
    like_uniform: tuple[int, int] | None = None

    def __post_init__(self):
        if (self.limit is None) == (self.like_uniform is None):
            raise ValueError(
                "A budget takes either `limit` or `like_uniform`. "
                f"Received: limit={self.limit}, like_uniform={self.like_uniform}"
            )
        if self.limit is not None:
            is_number = isinstance(self.limit, numbers.Real) and not isinstance(self.limit, bool)
            if not (is_number and 0 < self.limit < math.inf):
                raise ValueError(f"`limit` must be positive and finite. Received: {self.limit!r}")
            object.__setattr__(self, "limit", float(self.limit))
        if self.like_uniform is not None:
            pair = self.like_uniform
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_bits, pair)):
                raise ValueError(
                    "`like_uniform` must be two integers, (weight_bits, activation_bits). "
                    f"Received: {self.like_uniform!r}"
                )
            object.__setattr__(self, "like_uniform", (int(pair[0]), int(pair[1])))
        costs.get(self.cost)  # an unknown name fails here, not in the middle of a training

    def limit_for(self, graph: Graph) -> float:
        """Returns the bound on the sum over the searched layers of a graph, in the cost's unit.

        Raises:
            ValueError: If no assignment of the graph meets it; the message names the smallest feasible value.
        """
        priced = SearchedCost(graph, self.cost)
        if self.like_uniform is not None:
            bound = priced.uniform(*self.like_uniform)
            outside = 0.0
        else:
            outside = priced.outside
            bound = self.limit - outside
        if bound < priced.smallest * (1 - 1e-12):
            raise ValueError(
                f"The budget cannot be met: the cheapest assignment costs {priced.smallest + outside:g} "
                f"{priced.cost.unit}{' (layers outside the search included)' if outside else ''}, "
                f"the budget is {bound + outside:g}. Raise the budget or offer fewer bits."
            )
        return bound


class SearchedCost:
    """The cost tables of the layers whose bits are open, and the cost of everything else.

    Args:
        graph: A network with searched layers.
        cost: Name of a cost, or a `tfmp.costs.Cost`.

    Attributes:
        tables: Layer name to `[W, A]` array, in the cost's unit.
    """

    def __init__(self, graph: Graph, cost):
        self.graph = graph
        self.cost = costs.get(cost)
        self.tables = costs.tables(graph, self.cost, {layer.name for layer in graph.searched})

    @functools.cached_property
    def outside(self) -> float:
        """Cost of all that is not searched; an error where the cost has no price for it, as energy for floats."""
        others = set(self.graph.layers).difference(self.tables)
        priced = costs.tables(self.graph, self.cost, others)
        layers = sum(costs.layer_cost(self.graph.layers[name], table) for name, table in priced.items())
        return self.cost.overhead(self.graph) + layers

    @property
    def smallest(self) -> float:
        """Sum over the searched layers of their cheapest entry."""
        return float(sum(table.min() for table in self.tables.values()))

    def uniform(self, weight_bits, activation_bits) -> float:
        """Sum over the searched layers with every one of them at one pair of bits, candidate or not.

        A layer whose kernel or input is not quantized at all stays as it is.
        """
        layers = {
            name: dataclasses.replace(
                layer,
                weight=_one_format(layer.weight, weight_bits),
                activation=_one_format(layer.activation, activation_bits),
            )
            for name, layer in self.graph.layers.items()
            if name in self.tables
        }
        priced = costs.tables(self.graph.replace_layers(layers), self.cost, self.tables)
        return float(sum(priced[name].item() for name in self.tables))

    def expected(self, probabilities=None) -> float:
        """Sum of expectations; `probabilities` maps names to pairs of arrays and replaces those of the graph."""
        total = 0.0
        for name, table in self.tables.items():
            layer = self.graph.layers[name]
            weight, activation = (
                probabilities[name]
                if probabilities is not None
                else (layer.weight.probabilities, layer.activation.probabilities)
            )
            total += float(np.asarray(weight) @ table @ np.asarray(activation))
        return total

    def of(self, bits) -> float:
        """Sum over the searched layers under an assignment, a mapping of names to pairs of candidate bits."""
        return sum(costs.layer_cost(self.graph.layers[name], table, bits) for name, table in self.tables.items())


def _one_format(selection, bits):
    """The candidate of that many bits, or its quantizer's format where there is no such candidate."""
    if selection.formats[0].is_float:
        return selection
    found = [format for format in selection.formats if format.bits == bits]
    if not found:
        found = [quantizers.get(selection.quantizer, bits=bits, signed=selection.signed).format]
    return Selection(tuple(found), quantizer=selection.quantizer, signed=selection.signed)


def _is_bits(value) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and 1 <= value <= 32
