"""Base class of all costs, and the cost of a network."""

import abc
import collections
import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tfmp.checks import check_instance
from tfmp.graph import BitAssignment, CodeFormat, Graph, Layer, LayerShape
from tfmp.graph.targets import Target


@dataclasses.dataclass(frozen=True)
class LayerSum:
    """The sum of a constant and each layer's table entry at its weight and activation bits.

    Args:
        tables: Layer name to `[weight candidates, activation candidates]` array.
        constant: Constant that is added for any bits.

    Example:
        >>> LayerSum({"conv": np.array([[1.0, 2.0]])}, 10.0).smallest
        11.0
    """

    tables: Mapping[str, np.ndarray]
    constant: float = 0.0

    @property
    def smallest(self) -> float:
        """The sum with every layer at its cheapest entry, even if it cannot choose it."""
        return self.constant + float(sum(table.min() for table in self._priced.values()))

    def of(
        self,
        graph: Graph,
        assignment: BitAssignment | Mapping[str, tuple[int, int]] | None = None,
        probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> float:
        """Returns the sum for the layers of a graph.

        Args:
            graph: The network with the layers' candidates.
            assignment: Bits of the searched layers; without it, the expected sum is returned.
            probabilities: Layer name to arrays of weight and activation probabilities, instead of the graph's.
        """
        total = self.constant
        for name, table in self._priced.items():
            layer = graph.layers[name]
            if probabilities is not None and name in probabilities:
                total += float((layer.pair_probabilities(*probabilities[name]) * table).sum())
            else:
                total += layer_cost(layer, table, assignment)
        return total

    @functools.cached_property
    def _priced(self) -> dict[str, np.ndarray]:
        """The tables that are not zero: of a cost with a sum for each operation, few in each. Equal ones are shared."""
        distinct = {id(table): table for table in self.tables.values()}
        priced = {key for key, table in distinct.items() if table.any()}
        return {name: table for name, table in self.tables.items() if id(table) in priced}


class Cost(abc.ABC):
    """Base class of costs: the cost of each layer at each pair of weight and activation formats.

    A cost is a table of numbers and independent of a framework. The search computes expectations,
    `p_weights @ table @ p_activations`, which are exact for independent choices; the knapsack reads single entries. The
    cost of a network is the sum over its layers, plus its overhead.

    Attributes:
        name: Name in the registry, `"bitops"` for example.
        unit: Unit of every entry, `"bit operations"` for example.
        per_call: True if a layer costs its entry at every call, False if once for all calls.
        file_target: The runtime, if the cost is one of its files.
    """

    name: str
    unit: str
    per_call: bool = True
    file_target: Target | None = None

    @abc.abstractmethod
    def table(
        self,
        shape: LayerShape,
        weight_formats: Sequence[CodeFormat],
        activation_formats: Sequence[CodeFormat],
    ) -> np.ndarray:
        """Returns the price table of one layer.

        Args:
            shape: The layer.
            weight_formats: Candidate formats of the kernel.
            activation_formats: Candidate formats of the layer's input.

        Returns:
            `[len(weight_formats), len(activation_formats)]` float64 array, in `unit`.
        """

    def overhead(self, graph: Graph) -> float:
        """Returns the cost of the network outside its layers' tables, in `unit`: zero by default."""
        return 0.0

    def sums(self, graph: Graph, layers: Collection[str]) -> tuple[LayerSum, ...]:
        """Returns the sums of some layers' tables; the largest is their cost. Most costs have one sum.

        Args:
            graph: The network.
            layers: Names of the layers.
        """
        return (LayerSum(tables(graph, self, layers)),)

    def outside(self, graph: Graph, layers: Collection[str]) -> float:
        """Returns the cost outside the sums over some layers: all other layers, and the overhead."""
        others = LayerSum(tables(graph, self, set(graph.layers).difference(layers)))
        return others.of(graph) + self.overhead(graph)


CostLike = str | type[Cost] | Cost  # what arguments take: a name or the path of a table, a class or an instance


def tables(graph: Graph, cost: Cost, layers: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Returns the price tables of layers with a kernel, times the number of calls if `per_call`.

    Args:
        graph: The network.
        cost: A `Cost`.
        layers: Names of the layers; None for all layers with a kernel.

    Returns:
        Layer name to `[weight candidates, activation candidates]` array in the cost's unit.
    """
    check_instance("graph", graph, Graph, "a `tfmp.graph.Graph`")
    check_instance("cost", cost, Cost, "a `tfmp.costs.Cost`")
    calls = collections.Counter(call.layer for call in graph.calls)
    return {
        layer.name: cost.table(layer.shape, layer.weight.formats, layer.activation.formats)
        * (calls[layer.name] if cost.per_call else 1)
        for layer in graph.in_order()
        if layer.shape is not None and (layers is None or layer.name in layers)
    }


def layer_cost(
    layer: Layer, table: np.ndarray, assignment: BitAssignment | Mapping[str, tuple[int, int]] | None = None
) -> float:
    """Returns one layer's table entry under an assignment, or its expectation without an assignment."""
    check_instance("layer", layer, Layer, "a `tfmp.graph.Layer`")
    if assignment is None or not layer.is_searched:
        return float((layer.pair_probabilities() * table).sum())
    weight_bits, activation_bits = assignment[layer.name]
    return float(table[layer.weight.bits.index(weight_bits), layer.activation.bits.index(activation_bits)])


def network_cost(
    graph: Graph, cost: Cost, assignment: BitAssignment | Mapping[str, tuple[int, int]] | None = None
) -> float:
    """Returns the cost of a network: the largest of its sums over layers, plus the cost outside them.

    Args:
        graph: The network, in floating point, relaxed or fixed.
        cost: A `Cost`.
        assignment: Bits of the searched layers; without it, a relaxed network has its expected cost (EdMIPS, eq. 12).

    Returns:
        Float in the cost's unit.
    """
    check_instance("graph", graph, Graph, "a `tfmp.graph.Graph`")
    check_instance("cost", cost, Cost, "a `tfmp.costs.Cost`")
    layers = [layer.name for layer in graph.in_order() if layer.shape is not None]
    return max(sum.of(graph, assignment) for sum in cost.sums(graph, layers)) + cost.outside(graph, layers)
