"""Lagrange multipliers and the cost term of the loss."""

import abc
from collections.abc import Mapping

import numpy as np

from tfmp.checks import check_number
from tfmp.graph import CodeFormat
from tfmp.search.searched_cost import SearchedCost


class Multiplier(abc.ABC):
    """A Lagrange multiplier; the search adds `value * (expected cost / normalizer)` to the loss.

    Attributes:
        value: The current multiplier.
    """

    value: float

    @abc.abstractmethod
    def update(self, expected_cost: float, limit: float) -> None:
        """Updates the multiplier after a training step; both arguments are in the cost's unit."""

    def state(self) -> dict[str, float]:
        """Returns the state that a resumed run needs."""
        return {"value": self.value}

    def restore(self, state: Mapping[str, float]) -> None:
        for name, number in state.items():
            setattr(self, name, float(number))


class FixedMultiplier(Multiplier):
    """A constant eta: R_E + eta R_C (EdMIPS, eq. 6).

    Args:
        eta: Non-negative; the cost is normalized by that of the first searched layer at one bit.

    Raises:
        ValueError: If `eta` is negative.
    """

    def __init__(self, eta: float):
        self.value = check_number("eta", eta, at_least=0)

    def update(self, expected_cost: float, limit: float) -> None:
        pass


class DualAscent(Multiplier):
    """A multiplier that rises while the expected cost is above its limit and falls while it is below.

    value = max(0, integral + damping * excess), where excess = expected cost / limit - 1 and the integral gains
    `learning_rate * excess` at every step: the ascent on the dual of min R_E subject to R_C <= limit, damped by the
    gradient of an augmented Lagrangian's quadratic term so that the cost does not oscillate.

    Args:
        learning_rate: Step of the ascent, positive.
        damping: Weight of the current excess, not negative.

    Raises:
        ValueError: If a number is out of range.

    Reference: Platt and Barr, 1987, "Constrained differential optimization"
    """

    def __init__(self, *, learning_rate: float = 0.01, damping: float = 1.0):
        self.learning_rate = check_number("learning_rate", learning_rate, above=0)
        self.damping = check_number("damping", damping, at_least=0)
        self.integral = 0.0
        self.value = 0.0

    def update(self, expected_cost: float, limit: float) -> None:
        excess = expected_cost / limit - 1
        self.integral = max(0.0, self.integral + self.learning_rate * excess)
        self.value = max(0.0, self.integral + self.damping * excess)

    def state(self) -> dict[str, float]:
        return {"value": self.value, "integral": self.integral}


class ScheduledAscent(Multiplier):
    """A multiplier that rises while the expected cost is above a target and falls while it is below, by factors.

    The logarithm of `value` gains 10 log(expected cost / target) at every update, at most 40 per search. Factors find
    the scale of any loss, where the increments of `DualAscent` fit losses near 1. The target moves from the expected
    cost at the start to the limit within the first quarter of the search. It ends 1 % below the limit, so that
    fluctuations do not exceed it.

    The search moves the logits to the target at every step (see `tfmp.search.cost_correction`), so what the multiplier
    sees is the drift of one step: training would lower the cost if the multiplier is too large, and raise it if it is
    too small. It therefore converges without oscillation, whatever the number of steps.

    Attributes:
        first: Expected cost at the first update, relative to its limit; 0 before.
        progress, fraction: Of a `tfmp.search.search_schedule.SearchSchedule`, set before each update.
    """

    gain, fastest = 10.0, 4.0  # `fastest`: largest sum of |log(expected cost / target)| that counts, per search
    on_budget_at, margin = 0.25, 0.01
    largest_log = 14.0

    def __init__(self) -> None:
        self.value, self.first = 1.0, 0.0
        self.progress = self.fraction = 0.0

    def advance(self, progress: float, fraction: float) -> None:
        """Sets the share of the search that is done, and the share since the last update."""
        self.progress, self.fraction = progress, fraction

    def target(self, limit: float) -> float:
        """Returns the cost to be reached by now, in the unit of the limit."""
        last = 1 - self.margin
        first = self.first or last
        return limit * (first + (last - first) * min(1.0, self.progress / self.on_budget_at))

    def update(self, expected_cost: float, limit: float) -> None:
        self.first = self.first or expected_cost / limit
        bound = self.fastest * self.fraction
        drift = np.clip(np.log(max(expected_cost / self.target(limit), 1e-6)), -bound, bound)
        logarithm = np.clip(np.log(self.value) + self.gain * drift, -self.largest_log, self.largest_log)
        self.value = float(np.exp(logarithm))

    def state(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in ("value", "first", "progress", "fraction")}


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

    def expected(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
        """Returns the expected cost, normalized."""
        return self.priced.expected(probabilities) / self.normalizer

    def prices(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns a `[W, A]` array per layer name: the price of each pair in the loss; 0 where it changes nothing."""
        tables = self.priced.largest(probabilities).tables
        return {name: self.multiplier.value * table / self.normalizer for name, table in tables.items()}

    def summary(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Returns the figures that an epoch logs, with normalized costs."""
        expected = self.expected(probabilities)
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
