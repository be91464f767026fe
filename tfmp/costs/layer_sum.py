"""Sums of layer costs."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfmp.checks import check_instance
from tfmp.graph import BitAssignment, Graph, Layer


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
        return self.constant + float(sum(table.min() for table in self.tables.values()))

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
        for name, table in self.tables.items():
            layer = graph.layers[name]
            if probabilities is not None and name in probabilities:
                total += float((layer.pair_probabilities(*probabilities[name]) * table).sum())
            else:
                total += layer_cost(layer, table, assignment)
        return total


def layer_cost(
    layer: Layer, table: np.ndarray, assignment: BitAssignment | Mapping[str, tuple[int, int]] | None = None
) -> float:
    """Returns one layer's table entry under an assignment, or its expectation without an assignment."""
    check_instance("layer", layer, Layer, "a `tfmp.graph.Layer`")
    if assignment is None or not layer.is_searched:
        return float((layer.pair_probabilities() * table).sum())
    weight_bits, activation_bits = assignment[layer.name]
    return float(table[layer.weight.bits.index(weight_bits), layer.activation.bits.index(activation_bits)])
