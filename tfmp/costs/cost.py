"""Base class of all costs."""

import abc
import collections
from collections.abc import Sequence

import numpy as np

from tfmp.checks import check_instance
from tfmp.costs.layer_sum import LayerSum
from tfmp.graph import CodeFormat, Graph, LayerShape


class Cost(abc.ABC):
    """A price list: what each layer costs at each pair of weight and activation formats.

    A cost is a table of numbers and knows no framework: the search takes expectations of it,
    `p_weights @ table @ p_activations`, which is exact when the two choices are independent, and the knapsack reads
    single entries. The cost of a network is the sum over its layers, and its overhead.

    Attributes:
        name: Name in the registry, `"bitops"` for example.
        unit: Unit of every entry, `"bit operations"` for example.
        per_call: True if a layer pays at every call, False if it pays once however often it is called.
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
        """Prices one layer.

        Args:
            shape: The layer.
            weight_formats: Candidate formats of the kernel.
            activation_formats: Candidate formats of the layer's input.

        Returns:
            `[len(weight_formats), len(activation_formats)]` float64 array, in `unit`.
        """

    def overhead(self, graph) -> float:
        """Returns what the network costs beside its layers' tables, in `unit`: nothing by default."""
        return 0.0

    def sums(self, graph: Graph, layers) -> tuple[LayerSum, ...]:
        """Returns what some layers' choices of bits cost: the largest of these sums, of which there is mostly one.

        Args:
            graph: The network.
            layers: Names of the layers.
        """
        return (LayerSum(tables(graph, self, layers)),)

    def outside(self, graph: Graph, layers) -> float:
        """Returns what the network costs beside the sums over some layers: all other layers, and the overhead."""
        others = LayerSum(tables(graph, self, set(graph.layers).difference(layers)))
        return others.of(graph) + self.overhead(graph)


def tables(graph: Graph, cost: Cost, layers=None) -> dict[str, np.ndarray]:
    """Returns the price tables of layers that multiply, times the number of their calls where each call pays.

    Args:
        graph: The network.
        cost: A `Cost`.
        layers: Names of the layers to price; None for all that multiply.

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
