"""From probabilities to one choice per layer."""

import numpy as np
from scipy import optimize, sparse

from tfmp.search.budget import SearchedCost
from tfmp.types import Graph

_SMALLEST_PROBABILITY = 1e-12


def most_probable(graph: Graph) -> dict[str, tuple[int, int]]:
    """Returns for every searched layer its most probable pair of bits: "winner takes all" (EdMIPS, eq. 18)."""
    return {
        layer.name: (
            layer.weight.bits[int(np.argmax(layer.weight.probabilities))],
            layer.activation.bits[int(np.argmax(layer.activation.probabilities))],
        )
        for layer in graph.searched
    }


def most_probable_within(priced: SearchedCost, limit: float, *, spend=True) -> dict[str, tuple[int, int]]:
    """Returns the most probable assignment whose cost does not exceed a limit, exactly.

    A multiple-choice knapsack: one pair of bits per layer, the sum of log-probabilities to be largest, the sum of costs
    bounded. Where it leaves some of the budget, a second knapsack spends it: no layer loses bits, and each gains in
    proportion to the probability that lies above its choice.

    Args:
        priced: The searched layers with their tables and probabilities.
        limit: Bound on the sum of their costs.
        spend: If False, what is left stays unspent.

    Raises:
        ValueError: If no assignment meets the limit.
    """
    options = _Options(priced)
    chosen = options.solve(options.log_probability, limit)
    if spend:
        # Log of the probability that no more bits are wanted: it grows with every bit. The cost breaks ties upwards.
        weight = 1e-6 / max(limit, 1e-12)
        chosen = options.solve(options.log_cumulative + weight * options.cost, limit, at_least=chosen)
    return {options.names[layer]: options.bits[option] for layer, option in zip(*chosen, strict=True)}


def sample(graph: Graph, rng: np.random.Generator, *, trials=1) -> dict[str, tuple[int, int]]:
    """Draws a pair of bits for every searched layer.

    Args:
        graph: A relaxed network.
        rng: Source of randomness.
        trials: Draws per tensor, of which the most frequent wins: 1 is categorical sampling, more come closer to the
            most probable choice (EdMIPS, eq. 19).
    """

    def draw(selection):
        counts = rng.multinomial(trials, np.asarray(selection.probabilities, np.float64) / sum(selection.probabilities))
        winners = np.flatnonzero(counts == counts.max())
        return selection.bits[int(rng.choice(winners))]

    return {layer.name: (draw(layer.weight), draw(layer.activation)) for layer in graph.searched}


class _Options:
    """All pairs of bits of all layers in one list, for the solver."""

    def __init__(self, priced: SearchedCost):
        self.names = list(priced.tables)
        self.layer, self.bits, cost, log_probability, log_cumulative = [], [], [], [], []
        for index, name in enumerate(self.names):
            selections = priced.graph.layers[name].weight, priced.graph.layers[name].activation
            logs = [np.log(np.maximum(s.probabilities, _SMALLEST_PROBABILITY)) for s in selections]
            cumulative = [np.log(np.clip(np.cumsum(s.probabilities), _SMALLEST_PROBABILITY, 1)) for s in selections]
            for i, weight_bits in enumerate(selections[0].bits):
                for j, activation_bits in enumerate(selections[1].bits):
                    self.layer.append(index)
                    self.bits.append((weight_bits, activation_bits))
                    cost.append(priced.tables[name][i, j])
                    log_probability.append(logs[0][i] + logs[1][j])
                    log_cumulative.append(cumulative[0][i] + cumulative[1][j])
        self.layer = np.array(self.layer)
        self.cost = np.array(cost, np.float64)
        self.log_probability = np.array(log_probability)
        self.log_cumulative = np.array(log_cumulative)

    def solve(self, value, limit, *, at_least=None):
        """Returns (layers, options): one option per layer, largest sum of values, cost within the limit."""
        count = len(self.layer)
        one_each = sparse.csr_matrix((np.ones(count), (self.layer, np.arange(count))))
        scale = max(limit, self.cost.max())
        constraints = [
            optimize.LinearConstraint(one_each, 1, 1),
            optimize.LinearConstraint(self.cost[None] / scale, -np.inf, limit / scale * (1 + 1e-9)),
        ]
        upper = np.ones(count)
        if at_least is not None:
            floor = {layer: self.bits[option] for layer, option in zip(*at_least, strict=True)}
            for option in range(count):
                weight_bits, activation_bits = floor[self.layer[option]]
                if self.bits[option][0] < weight_bits or self.bits[option][1] < activation_bits:
                    upper[option] = 0
        result = optimize.milp(
            -value,
            constraints=constraints,
            integrality=np.ones(count),
            bounds=optimize.Bounds(0, upper),
            options={"mip_rel_gap": 0.0},
        )
        if result.x is None:
            smallest = sum(self.cost[self.layer == layer].min() for layer in range(len(self.names)))
            raise ValueError(
                f"No assignment costs {limit:g} or less: the cheapest costs {smallest:g}. Raise the budget or offer "
                "fewer bits."
            )
        options = np.flatnonzero(result.x > 0.5)
        return self.layer[options], options
