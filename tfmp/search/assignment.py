"""Chooses one candidate per layer from probabilities."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Candidates, Graph
from tfmp.search.knapsack import Knapsack
from tfmp.search.searched_cost import SearchedCost, chosen_layers

_SMALLEST_PROBABILITY = 1e-12
_DRAWS = 100


def most_probable(graph: Graph) -> dict[str, tuple[int, int]]:
    """Returns the most probable pair of bits of every searched layer, "winner takes all" (EdMIPS, eq. 18)."""
    return {
        layer.name: (
            layer.weight.bits[int(np.argmax(layer.weight.probabilities))],
            layer.activation.bits[int(np.argmax(layer.activation.probabilities))],
        )
        for layer in chosen_layers(graph)
    }


def most_probable_within(
    priced: SearchedCost | Sequence[SearchedCost], limit: float | Sequence[float], *, spend: bool = True
) -> dict[str, tuple[int, int]]:
    """Returns the most probable assignment whose cost does not exceed a limit, exactly.

    A second knapsack spends what remains of the budget: the gain of a layer is proportional to the probability of the
    candidates above its choice.

    Args:
        priced: A `SearchedCost`, the searched layers with their tables and probabilities, or a list of several.
        limit: Its limit, or a list with one for each.
        spend: If False, there is no second knapsack.

    Raises:
        ValueError: If no assignment meets the limits.
    """
    graph = _lists(priced, limit)[0][0].graph
    # Log of the probability that these bits are enough: it grows with every bit.
    wanted = _tables(graph, np.cumsum) if spend else None
    return best_within(priced, limit, _tables(graph, np.asarray), spend=wanted)


def best_within(
    priced: SearchedCost | Sequence[SearchedCost],
    limit: float | Sequence[float],
    values: Mapping[str, np.ndarray],
    *,
    spend: Mapping[str, np.ndarray] | None = None,
) -> dict[str, tuple[int, int]]:
    """Returns the assignment with the largest value whose cost does not exceed a limit, exactly.

    Solves a multiple-choice knapsack: one pair of bits per layer, the largest sum of values, a limited sum of costs.

    Args:
        priced: A `SearchedCost`, or a list of several.
        limit: Its limit, or a list with one for each.
        values: Layer name to `[W, A]` array: the value of each pair of bits.
        spend: Values in the same form for a second knapsack, which spends what the first solution leaves of the
            budget. No layer then loses bits, and bits that cost nothing are always taken. None omits it.

    Raises:
        ValueError: If no assignment meets the limits.
    """
    knapsack = Knapsack(*_lists(priced, limit))
    chosen = knapsack.solve(knapsack.in_order(values))
    if spend is not None:
        gain = knapsack.in_order(spend)
        chosen = knapsack.fill(knapsack.solve(gain, at_least=chosen), gain)
    return knapsack.assignment(chosen)


def greedy_within(
    priced: SearchedCost | Sequence[SearchedCost], limit: float | Sequence[float], values: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, int]]:
    """Returns an assignment within a limit by greedy search, a baseline for `best_within`.

    It starts with the cheapest bits. Each step changes the bits of one layer: the change that fits and has the largest
    gain of value per cost, as a share of the limit. When no change gains, single layers get more bits while they fit.

    Args:
        priced: A `SearchedCost`, or a list of several.
        limit: Its limit, or a list with one for each.
        values: Layer name to `[W, A]` array: the value of each pair of bits.

    Raises:
        ValueError: If no assignment meets the limits.
    """
    knapsack = Knapsack(*_lists(priced, limit))
    value = knapsack.in_order(values)
    chosen = knapsack.solve(-knapsack.share())
    while True:
        gain, share = value - value[chosen][knapsack.layer], knapsack.share(chosen)
        useful = np.flatnonzero((gain > 0) & knapsack.fitting(chosen))
        if not len(useful):
            return knapsack.assignment(knapsack.fill(chosen, value))
        ratio = np.where(share > 0, gain / np.where(share > 0, share, 1), np.inf)
        best = max(useful, key=lambda option: (ratio[option], gain[option]))
        chosen[knapsack.layer[best]] = best


def random_within(
    priced: SearchedCost | Sequence[SearchedCost],
    limit: float | Sequence[float],
    rng: np.random.Generator,
    *,
    tolerance: float = 0.02,
) -> dict[str, tuple[int, int]]:
    """Returns a random assignment that spends a limit, a baseline at equal cost.

    Every layer draws one of its pairs of bits with equal probability. While the cost exceeds the limit, a random layer
    gets bits that reduce the excess. Then, while more than the tolerance remains, a random layer gets bits that cost
    more and fit.

    Args:
        priced: A `SearchedCost`, or a list of several.
        limit: Its limit, or a list with one for each.
        rng: Random number generator.
        tolerance: Share of the limit that may remain; with several limits, of the one that is closest to being spent.

    Raises:
        ValueError: If no assignment meets the limits, or no draw spends them.
    """
    priced, limits = _lists(priced, limit)
    knapsack, most = Knapsack(priced, limits), 0.0
    knapsack.solve(np.zeros(len(knapsack.layer)))  # raises an error if no assignment meets the limits
    for _ in range(_DRAWS):
        chosen = _within(knapsack, rng)
        while chosen is not None:
            bits = knapsack.assignment(chosen)
            spent = max(each.of(bits) / bound for each, bound in zip(priced, limits, strict=True))
            most = max(most, spent)
            if spent >= 1 - tolerance:
                return bits
            chosen = _exchanged(knapsack, chosen, knapsack.fitting(chosen) & (knapsack.share(chosen) > 0), rng)
    raise ValueError(
        f"None of {_DRAWS} random assignments spends the budget within {tolerance:.2%}: the closest spends {most:.2%}. "
        "Give a larger `tolerance`, or a budget between the cheapest and the most expensive assignment."
    )


def _within(knapsack: Knapsack, rng: np.random.Generator) -> np.ndarray | None:
    """Returns a random draw, repaired until it is within the limits; None if changes of single layers cannot do it."""
    chosen: np.ndarray | None = np.array(
        [rng.choice(np.flatnonzero(knapsack.layer == index)) for index in range(len(knapsack.names))]
    )
    while chosen is not None:
        excess = knapsack.excess(chosen)
        if not excess[chosen[0]]:
            return chosen
        chosen = _exchanged(knapsack, chosen, excess < excess[chosen[0]], rng)
    return None


def _exchanged(
    knapsack: Knapsack, chosen: np.ndarray, candidates: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Returns the choice with one option replaced by a random candidate; None without candidates.

    Layers that have candidates are drawn with equal probability.
    """
    layers = np.unique(knapsack.layer[candidates])
    if not len(layers):
        return None
    layer, chosen = rng.choice(layers), chosen.copy()
    chosen[layer] = rng.choice(np.flatnonzero(candidates & (knapsack.layer == layer)))
    return chosen


def _lists(priced: SearchedCost | Sequence[SearchedCost], limit: Any) -> tuple[Sequence[SearchedCost], Sequence[float]]:
    return ([priced], [limit]) if isinstance(priced, SearchedCost) else (priced, limit)


def _tables(graph: Graph, function: Callable[[Sequence[float]], np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a table per layer: the log of a function of the probabilities, summed over its choices."""
    tables = {}
    for layer in chosen_layers(graph):
        logs = [
            np.log(np.clip(function(tensor.probabilities), _SMALLEST_PROBABILITY, 1))
            for tensor in (layer.weight, layer.activation)
        ]
        tables[layer.name] = np.diag(logs[0]) if layer.coupled else np.add.outer(*logs)
    return tables


def sample(graph: Graph, rng: np.random.Generator, *, trials: int = 1) -> dict[str, tuple[int, int]]:
    """Draws a pair of bits for every searched layer.

    Args:
        graph: A relaxed network.
        rng: Random number generator.
        trials: Draws per tensor, or per pair if coupled; the most frequent one is chosen. 1 is categorical sampling,
            more are closer to the most probable choice (EdMIPS, eq. 19).
    """

    def draw(selection: Candidates) -> int:
        counts = rng.multinomial(trials, np.asarray(selection.probabilities, np.float64) / sum(selection.probabilities))
        winners = np.flatnonzero(counts == counts.max())
        return int(rng.choice(winners))

    bits = {}
    for layer in chosen_layers(graph):
        weight = draw(layer.weight)
        activation = weight if layer.coupled else draw(layer.activation)
        bits[layer.name] = layer.weight.bits[weight], layer.activation.bits[activation]
    return bits
