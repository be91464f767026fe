"""From probabilities to one choice per layer."""

import numpy as np

from tfmp.search.knapsack import Knapsack
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


def most_probable_within(priced, limit, *, spend=True) -> dict[str, tuple[int, int]]:
    """Returns the most probable assignment whose cost does not exceed a limit, exactly.

    Where it leaves some of the budget, a second knapsack spends it: each layer gains in proportion to the probability
    that lies above its choice.

    Args:
        priced: A `SearchedCost`: the searched layers with their tables and probabilities; or a list of several.
        limit: Bound on it; or a list with one for each.
        spend: If False, what is left stays unspent.

    Raises:
        ValueError: If no assignment meets the limits.
    """
    graph = _lists(priced, limit)[0][0].graph
    # Log of the probability that no more bits are wanted: it grows with every bit.
    wanted = _tables(graph, np.cumsum) if spend else None
    return best_within(priced, limit, _tables(graph, np.asarray), spend=wanted)


def best_within(priced, limit, values, *, spend=None) -> dict[str, tuple[int, int]]:
    """Returns the assignment of largest value whose cost does not exceed a limit, exactly.

    A multiple-choice knapsack: one pair of bits per layer, the sum of values to be largest, the sum of costs bounded.

    Args:
        priced: A `SearchedCost`, or a list of several.
        limit: Bound on it, or a list with one for each.
        values: Layer name to `[W, A]` array: what each pair of bits is worth.
        spend: The same, for what the first solution leaves of the budget: no layer then loses bits, and the sum of
            these values is to be largest. Bits that cost nothing are always taken. None leaves the rest unspent.

    Raises:
        ValueError: If no assignment meets the limits.
    """
    knapsack = Knapsack(*_lists(priced, limit))
    chosen = knapsack.solve(knapsack.in_order(values))
    if spend is not None:
        gain = knapsack.in_order(spend)
        chosen = knapsack.fill(knapsack.solve(gain, at_least=chosen), gain)
    return knapsack.assignment(chosen)


def _lists(priced, limit):
    return (priced, limit) if isinstance(priced, list | tuple) else ([priced], [limit])


def _tables(graph, function):
    """Layer name to the sums of the logs of what a function makes of its two tensors' probabilities."""
    found = {}
    for layer in graph.searched:
        logs = [
            np.log(np.clip(function(tensor.probabilities), _SMALLEST_PROBABILITY, 1))
            for tensor in (layer.weight, layer.activation)
        ]
        found[layer.name] = np.add.outer(*logs)
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
