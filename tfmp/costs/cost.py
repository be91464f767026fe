"""Base class of all costs."""

import abc
import collections
from collections.abc import Collection, Sequence

import numpy as np

from tfmp.checks import check_instance
from tfmp.costs.layer_sum import LayerSum
from tfmp.graph import CodeFormat, Graph, LayerShape


class Cost(abc.ABC):
    """Base class of costs: the cost of each layer at each pair of weight and activation formats.

    A cost is a table of numbers and independent of a framework. The search computes expectations,
    `p_weights @ table @ p_activations`, which are exact for independent choices; the knapsack reads single entries. The
    cost of a network is the sum over its layers, plus its overhead.

    Attributes:
        name: Name in the registry, `"bitops"` for example.
        unit: Unit of every entry, `"bit operations"` for example.
        per_call: True if a layer costs its entry at every call, False if once for all calls.
    """

    name: str
    unit: str
    per_call: bool = True

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
