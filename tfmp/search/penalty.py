"""The cost term of the loss."""

from collections.abc import Mapping

import numpy as np

from tfmp.graph import CodeFormat
from tfmp.search.lagrangian import Multiplier
from tfmp.search.searched_cost import SearchedCost


class Penalty:
    """The term `multiplier * expected cost / normalizer` of the loss, while bits are open.

    Args:
        priced: The `SearchedCost`.
        multiplier: A `tfmp.search.Multiplier`.
        limit: The limit of the cost, which is then the normalizer. None normalizes by the cost of the first searched
            layer at one bit, or at its cheapest candidates if the cost has no price for one bit.

    Raises:
        ValueError: If the normalizer is not positive.
    """

    def __init__(self, priced: SearchedCost, multiplier: Multiplier, *, limit: float | None = None):
        self.priced = priced
        self.multiplier = multiplier
        self.limit = limit
        self.normalizer = _first_layer_cost(priced) if limit is None else limit
        if not self.normalizer > 0:
            origin = f"that of layer `{priced.names[0]}` at one bit" if limit is None else "the budget"
            raise ValueError(
                f"The cost `{priced.cost.name}` is normalized by {origin}, which must be positive. Received: "
                f"{self.normalizer:g} {priced.cost.unit}. Give another cost, or a budget that is positive."
            )

    def step(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
        """Updates the multiplier after a training step; returns the expected cost, normalized.

        Args:
            probabilities: Layer name to the arrays of its weight and activation probabilities.
        """
        expected = self.priced.expected(probabilities)
        if self.limit is not None:
            self.multiplier.update(expected, self.limit)
        return expected / self.normalizer

    def prices(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns a `[W, A]` array per layer name: the price of each pair in the loss; 0 where it changes nothing."""
        tables = self.priced.largest(probabilities).tables
        return {name: self.multiplier.value * table / self.normalizer for name, table in tables.items()}

    def summary(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Returns the figures that an epoch logs, with normalized costs."""
        expected = self.priced.expected(probabilities) / self.normalizer
        discrete = self.priced.of(self._most_probable(probabilities)) / self.normalizer
        return {
            "expected_cost": expected,
            "discrete_cost": discrete,
            "cost_gap": discrete - expected,
            "multiplier": self.multiplier.value,
        }

    def _most_probable(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[int, int]]:
        layers = self.priced.graph.layers
        return {
            name: (layers[name].weight.bits[weight.argmax()], layers[name].activation.bits[activation.argmax()])
            for name, (weight, activation) in probabilities.items()
        }


def _first_layer_cost(priced: SearchedCost) -> float:
    """Returns the cost of the first searched layer at one bit; for BitOps, this is its FLOPs."""
    layer = priced.graph.layers[priced.names[0]]
    shape = layer.require_shape()
    one_bit = (CodeFormat(1, -1, 1),)
    try:
        return float(priced.cost.table(shape, one_bit, one_bit)[0, 0])
    except ValueError:  # no price for one bit, for example in a measured table
        return float(priced.cost.table(shape, layer.weight.formats, layer.activation.formats).min())
