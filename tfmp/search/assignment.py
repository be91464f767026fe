"""From probabilities to one choice per layer."""

import itertools

import numpy as np
from scipy import optimize, sparse

from tfmp.search.budget import SearchedCost
from tfmp.types import Graph

_SMALLEST_PROBABILITY = 1e-12
_LARGEST_LOSS = 1e4
_ROUNDING = 1e-12  # relative: sums of the same costs in another order


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

    Where it leaves some of the budget, a second knapsack spends it: each layer gains in proportion to the probability
    that lies above its choice.

    Args:
        priced: The searched layers with their tables and probabilities.
        limit: Bound on the sum of their costs.
        spend: If False, what is left stays unspent.

    Raises:
        ValueError: If no assignment meets the limit.
    """
    # Log of the probability that no more bits are wanted: it grows with every bit.
    wanted = _tables(priced, np.cumsum) if spend else None
    return best_within(priced, limit, _tables(priced, np.asarray), spend=wanted)


def best_within(priced: SearchedCost, limit: float, values, *, spend=None) -> dict[str, tuple[int, int]]:
    """Returns the assignment of largest value whose cost does not exceed a limit, exactly.

    A multiple-choice knapsack: one pair of bits per layer, the sum of values to be largest, the sum of costs bounded.

    Args:
        priced: The searched layers with their tables.
        limit: Bound on the sum of their costs.
        values: Layer name to `[W, A]` array: what each pair of bits is worth.
        spend: The same, for what the first solution leaves of the budget: no layer then loses bits, and the sum of
            these values is to be largest. Bits that cost nothing are always taken. None leaves the rest unspent.

    Raises:
        ValueError: If no assignment meets the limit.
    """
    options = _Options(priced)
    chosen = options.solve(options.in_order(values), limit)
    if spend is not None:
        gain = options.in_order(spend)
        chosen = options.fill(options.solve(gain, limit, at_least=chosen), gain, limit)
    return {name: tuple(map(int, options.bits[option])) for name, option in zip(options.names, chosen, strict=True)}


def _tables(priced, function):
    """Layer name to the sums of the logs of what a function makes of its two tensors' probabilities."""
    found = {}
    for name in priced.tables:
        layer = priced.graph.layers[name]
        logs = [
            np.log(np.clip(function(tensor.probabilities), _SMALLEST_PROBABILITY, 1))
            for tensor in (layer.weight, layer.activation)
        ]
        found[name] = np.add.outer(*logs)
    return found


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
        layers = [priced.graph.layers[name] for name in self.names]
        pairs = [list(itertools.product(layer.weight.bits, layer.activation.bits)) for layer in layers]
        self.layer = np.repeat(np.arange(len(layers)), [len(options) for options in pairs])
        self.bits = np.array([pair for options in pairs for pair in options])
        self.cost = self.in_order(priced.tables)

    def in_order(self, tables):
        """The entries of all layers' tables in the order of the options."""
        return np.concatenate([np.asarray(tables[name], np.float64).ravel() for name in self.names])

    def solve(self, value, limit, *, at_least=None):
        """Returns one option per layer: the largest sum of values, the cost within the limit."""
        allowed = np.ones(len(self.layer), bool) if at_least is None else self._reaching(at_least)
        cheapest = np.array([self.cost[allowed & (self.layer == i)].min() for i in range(len(self.names))])
        slack = limit - cheapest.sum()
        rounding = _ROUNDING * abs(limit)
        if slack < -rounding:
            raise ValueError(
                f"No assignment costs {limit:g} or less: the cheapest costs {cheapest.sum():g}. Raise the budget or "
                "offer fewer bits."
            )
        excess = self.cost - cheapest[self.layer]
        allowed &= excess <= slack + rounding
        one_each = sparse.csr_matrix((np.ones(len(self.layer)), (self.layer, np.arange(len(self.layer)))))
        # The solver takes a row for met within 1e-6: in units of a small part of what there is to spend that is little.
        unit = max(slack, rounding, 1e-300) / 1e4
        best = np.array([value[allowed & (self.layer == i)].max() for i in range(len(self.names))])
        loss = np.where(allowed, best[self.layer] - value, 0)
        loss *= _LARGEST_LOSS / max(loss.max(), 1e-300)  # it takes sums for equal within 1e-6, too
        constraints = [
            optimize.LinearConstraint(one_each, 1, 1),
            optimize.LinearConstraint(np.where(allowed, excess, 0)[None] / unit, -np.inf, max(slack, 0) / unit),
        ]
        while True:
            result = optimize.milp(
                loss,
                constraints=constraints,
                integrality=np.ones(len(self.layer)),
                bounds=optimize.Bounds(0, allowed.astype(float)),
                options={"mip_rel_gap": 0.0},
            )
            if result.x is None:
                raise RuntimeError(f"The solver found no assignment although there is one: {result.message}")
            chosen = np.flatnonzero(result.x > 0.5)
            if excess[chosen].sum() <= slack + rounding:
                return chosen
            # Over the limit by less than the solver sees: it may not choose this one again.
            excluded = np.zeros(len(self.layer))
            excluded[chosen] = 1
            constraints.append(optimize.LinearConstraint(excluded[None], -np.inf, len(chosen) - 1))

    def fill(self, chosen, value, limit):
        """Raises single layers while one fits: what is left by gains too small for the solver, or by none at all."""
        chosen = chosen.copy()
        while True:
            left = limit - self.cost[chosen].sum()
            more = self.cost - self.cost[chosen][self.layer]
            richer = self._reaching(chosen) & (self.bits != self.bits[chosen][self.layer]).any(axis=1)
            fits = richer & (more <= max(left, 0))
            if not fits.any():
                return chosen
            gain = value - value[chosen][self.layer]
            best = max(np.flatnonzero(fits), key=lambda option: (gain[option], more[option]))
            chosen[self.layer[best]] = best

    def _reaching(self, chosen):
        """Which options have at least the bits of their layer's chosen one."""
        return (self.bits >= self.bits[chosen][self.layer]).all(axis=1)
