"""Lagrange multipliers: fixed, or by dual ascent."""

import abc
from collections.abc import Mapping

from tfmp.checks import check_number


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
