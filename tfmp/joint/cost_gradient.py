"""Gradients of the expected cost with respect to the controller's logits: exact, or by REINFORCE."""

import abc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tfmp.checks import check_choice, check_integer, check_number
from tfmp.costs import CostLike
from tfmp.joint.architecture_cost import ArchitectureCost, BlockTables
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.oracle import Oracle
from tfmp.joint.search_space import SearchSpace


class CostEstimate(NamedTuple):
    """The expected cost under the current logits, and its gradient.

    Args:
        expected: In the cost's unit.
        gradient: Gradient with respect to the logits, `[rows, width]`, in the same unit.
    """

    expected: float
    gradient: np.ndarray


class CostGradient(abc.ABC):
    """Estimates the expected cost of the controller's networks, and its gradient."""

    @abc.abstractmethod
    def estimate(self, logits: ArrayLike, seed: Sequence[int]) -> CostEstimate:
        """Returns the expected cost and its gradient.

        Args:
            logits: `[rows, width]` array.
            seed: Integers that seed the samples, if there are any.
        """

    @abc.abstractmethod
    def cost_of(self, network: DiscreteNetwork) -> float:
        """Returns the cost of one network."""

    def identity(self) -> Any:
        """Returns JSON that must be equal in a resumed search."""
        return {}

    def state(self) -> dict[str, Any]:
        """Returns the state that a resumed search needs, as JSON."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (most have no state)
        """Restores a state."""


class ExactGradient(CostGradient):
    """Computes the exact expected cost and gradient, for costs that are sums over blocks.

    Args:
        space: The search space.
        cost: Name of a cost, or a `tfmp.costs.Cost`; see `ArchitectureCost`.
    """

    def __init__(self, space: SearchSpace, cost: CostLike = "energy"):
        self.tables = BlockTables(space, cost)
        self._network_cost = ArchitectureCost(cost)

    def estimate(self, logits: ArrayLike, seed: Sequence[int] = ()) -> CostEstimate:
        probabilities = self.tables.categoricals.probabilities(logits)
        return CostEstimate(self.tables.expectation(probabilities), self.tables.gradient(probabilities))

    def cost_of(self, network: DiscreteNetwork) -> float:
        return self._network_cost(network)

    def identity(self) -> Any:
        prices = [np.float64(self.tables.constant), *self.tables.tables]
        digest = hashlib.sha256(b"".join(each.tobytes() for each in prices)).hexdigest()
        return {"cost": self._network_cost.cost.name, "prices": digest}


_RECORDED_NAMES = {"ArchitectureCost": "NetworkCost"}  # by version 0.1.0, whose searches are resumed
BASELINES = ("none", "moving_average", "leave_one_out")


class Reinforce(CostGradient):
    """Estimates the expected cost and gradient by the score function, for any oracle (eq. 7).

    gradient = 1/k sum_i (J(a_i) - b_i) d log p(a_i) / d logits,  a_1 ... a_k drawn from p

    Args:
        space: The search space.
        oracle: `Oracle`, or a function from a `DiscreteNetwork` to a number.
        samples: Number of sampled networks for each estimate, k.
        baseline: b: `"none"` (the paper's), `"moving_average"` of earlier samples, or `"leave_one_out"`, the mean of
            the other samples. They change the variance of the gradient, not its mean.
        momentum: Share of the moving average that is kept. The average is also the `expected` cost of an estimate.

    Raises:
        ValueError: If `baseline` is unknown, or there are too few samples for it.

    Reference: Williams, 1992; Gong et al., 2019, eq. 7
    """

    def __init__(
        self,
        space: SearchSpace,
        oracle: Callable[[DiscreteNetwork], float],
        *,
        samples: int = 8,
        baseline: str = "moving_average",
        momentum: float = 0.9,
    ):
        check_choice("baseline", baseline, BASELINES)
        check_integer("samples", samples, at_least=2 if baseline == "leave_one_out" else 1)
        check_number("momentum", momentum, at_least=0, below=1)
        self.categoricals = Categoricals(space)
        self.oracle = oracle if isinstance(oracle, Oracle) else Oracle(oracle)
        self.samples, self.baseline, self.momentum = samples, baseline, momentum
        self.average: float | None = None

    def estimate(self, logits: ArrayLike, seed: Sequence[int]) -> CostEstimate:
        probabilities = self.categoricals.probabilities(logits)
        drawn = self.categoricals.sample(probabilities, self.samples, seed)
        costs = self.oracle([self.categoricals.network(indices) for indices in drawn])
        advantages = costs - self._baseline(costs)
        scores = self.categoricals.one_hot(drawn) - probabilities
        gradient = np.tensordot(advantages, scores, axes=(0, 0)) / self.samples
        mean = float(costs.mean())
        kept = 0.0 if self.average is None else self.momentum
        average = mean if self.average is None else kept * self.average + (1 - kept) * mean
        self.average = average
        return CostEstimate(average, gradient)

    def cost_of(self, network: DiscreteNetwork) -> float:
        return float(self.oracle([network])[0])

    def _baseline(self, costs):
        others = (costs.sum() - costs) / max(1, self.samples - 1)
        if self.baseline == "none":
            return np.zeros_like(costs)
        if self.baseline == "leave_one_out" or self.average is None and self.samples > 1:
            return others
        return costs if self.average is None else np.full_like(costs, self.average)  # a single sample has no baseline

    def identity(self) -> Any:
        function = self.oracle.function
        name = getattr(function, "__qualname__", type(function).__qualname__)
        name = _RECORDED_NAMES.get(name, name)
        return {"oracle": name, "samples": self.samples, "baseline": self.baseline, "momentum": self.momentum}

    def state(self) -> dict[str, Any]:
        # A board may measure another value when asked again. Results in a cache file are already saved.
        return {"average": self.average, "answers": {} if self.oracle.cache_path else self.oracle.cache}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.average = state["average"]
        self.oracle.cache.update(state["answers"])
