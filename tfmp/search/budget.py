"""How much a network may cost."""

import dataclasses

import numpy as np

from tfmp import costs, quantizers
from tfmp.types import Graph


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
        if self.limit is not None and not (np.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"`limit` must be positive and finite. Received: {self.limit!r}")
        if self.like_uniform is not None:
            pair = tuple(self.like_uniform)
            if len(pair) != 2 or not all(isinstance(bits, int) and 1 <= bits <= 32 for bits in pair):
                raise ValueError(
                    "`like_uniform` must be two integers, (weight_bits, activation_bits). "
                    f"Received: {self.like_uniform!r}"
                )
            object.__setattr__(self, "like_uniform", pair)
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
        outside: Cost of all that is not searched.
    """

    def __init__(self, graph: Graph, cost):
        self.graph = graph
        self.cost = costs.get(cost)
        priced = costs.tables(graph, self.cost)
        self.tables = {layer.name: priced[layer.name] for layer in graph.searched}
        self.outside = self.cost.overhead(graph) + sum(
            costs.layer_cost(graph.layers[name], table) for name, table in priced.items() if name not in self.tables
        )

    @property
    def smallest(self) -> float:
        """Sum over the searched layers of their cheapest entry."""
        return float(sum(table.min() for table in self.tables.values()))

    def uniform(self, weight_bits, activation_bits) -> float:
        """Sum over the searched layers with every one of them at one pair of bits, candidate or not.

        A layer whose kernel or input is not quantized at all stays as it is.
        """
        total = 0.0
        for name in self.tables:
            layer = self.graph.layers[name]
            weight, activation = (
                selection.formats if selection.formats[0].is_float else (_format_like(selection, bits),)
                for selection, bits in ((layer.weight, weight_bits), (layer.activation, activation_bits))
            )
            total += float(self.cost.table(layer.shape, weight, activation)[0, 0]) * self._calls(name)
        return total

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

    def _calls(self, name):
        return sum(call.layer == name for call in self.graph.calls)


def _format_like(selection, bits):
    """The format of a candidate, or one of that many bits where there is no such candidate."""
    for format in selection.formats:
        if format.bits == bits:
            return format
    return quantizers.get(selection.quantizer, bits=bits, signed=selection.signed).format
