"""Assignments by name: the baselines with which a search is compared."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from tfmp.checks import check_choice, check_flag, check_function, check_text
from tfmp.graph import Graph, Layer
from tfmp.registry import Registry
from tfmp.search.assignment import best_within, greedy_within, random_within
from tfmp.search.budget import Budget
from tfmp.search.knapsack import Knapsack
from tfmp.search.searched_cost import SearchedCost

_DEPTHWISE_BITS = 8


@dataclasses.dataclass(frozen=True)
class BudgetProblem:
    """What a baseline is given: a network and its budgets.

    Args:
        graph: The relaxed network, without weights.
        budgets: The `tfmp.Budget`s.
        priced: The cost of each.
        limits: The limit of each for the searched layers.
        harms: Layer name to a `[W, A]` array, the harm of each pair of candidates; None without scores.
        seed: Integer, for baselines that draw.
        tolerance: Share of the budget that a draw may leave.
    """

    graph: Graph
    budgets: Sequence[Budget]
    priced: Sequence[SearchedCost]
    limits: Sequence[float]
    harms: Mapping[str, np.ndarray] | None = None
    seed: int = 0
    tolerance: float = 0.02


Baseline = Callable[[BudgetProblem], Mapping[str, tuple[int, int]]]
_REGISTRY = Registry("name", Callable, "a function of a `tfmp.assign.BudgetProblem`")
_SCORED: set[str] = set()


def register_baseline(name: str, baseline: Baseline, *, needs_scores: bool = False) -> None:
    """Registers a baseline for `tfmp.assign.by_name`, tuner strategies and the command line.

    Args:
        name: Its name.
        baseline: Function of a `BudgetProblem` that returns layer names to pairs of bits.
        needs_scores: True if it reads `BudgetProblem.harms`, which then must be given.

    Raises:
        ValueError: If there is one of that name.
    """
    check_text("name", name)
    check_flag("needs_scores", needs_scores)
    _REGISTRY.register(check_function("baseline", baseline, "a `BudgetProblem`"), name)
    if needs_scores:
        _SCORED.add(name)


def baseline_named(name: str) -> Baseline:
    """Returns a baseline by name.

    Raises:
        ValueError: If the name is unknown.
    """
    return _REGISTRY.get(check_choice("name", name, _REGISTRY.names()))


def needs_scores(name: str) -> bool:
    """Returns True if a baseline chooses by sensitivities.

    Raises:
        ValueError: If the name is unknown.
    """
    baseline_named(name)
    return name in _SCORED


def baseline_names() -> tuple[str, ...]:
    """Returns the names of all baselines."""
    return _REGISTRY.names()


def uniform(problem: BudgetProblem) -> Mapping[str, tuple[int, int]]:
    """Returns the pair of bits of a budget, or the most expensive pair of candidates that is within all budgets.

    A pair of which another within the budgets has as many bits of weights and of activations is never chosen: memory
    of microcontrollers may cost more at fewer bits.
    """
    for budget in problem.budgets:
        pair = budget.like_uniform
        if pair is not None and all(
            priced.uniform(*pair) <= limit * (1 + 1e-12)
            for priced, limit in zip(problem.priced, problem.limits, strict=True)
        ):
            return {layer.name: pair for layer in problem.graph.searched}
    return _most_expensive(problem, uniform_assignments(problem.graph), "uniform bits")


def depthwise_8(problem: BudgetProblem) -> Mapping[str, tuple[int, int]]:
    """Returns kernels of depthwise layers at 8 bits, uniform bits elsewhere, and the rest spent layer by layer."""
    depthwise = {layer.name: _wide(layer) for layer in problem.graph.searched if is_depthwise(layer)}
    options = []
    for bits in uniform_assignments(problem.graph):
        widened = {name: (depthwise.get(name, weight), activation) for name, (weight, activation) in bits.items()}
        coupled = [layer for layer in problem.graph.searched if layer.coupled and layer.name in depthwise]
        widened.update({layer.name: (layer.weight.bits[-1], layer.activation.bits[-1]) for layer in coupled})
        options.append(widened)
    what = "depthwise layers at 8 bits and uniform bits elsewhere"
    # Not 8 bits for kernels and 2 for inputs, which may cost as much as 4 for both.
    chosen = _most_expensive(problem, options, what, rank=lambda bits: min(map(min, bits.values())))
    return _spent(problem, chosen)


def greedy(problem: BudgetProblem) -> Mapping[str, tuple[int, int]]:
    """Returns bits of small total sensitivity, by steps of the best gain for its cost."""
    return greedy_within(problem.priced, problem.limits, _values(problem))


def ilp(problem: BudgetProblem) -> Mapping[str, tuple[int, int]]:
    """Returns the bits of least total sensitivity, exactly; what remains of the budget is spent where it fits."""
    values = _values(problem)
    return best_within(problem.priced, problem.limits, values, spend=values)


def random(problem: BudgetProblem) -> Mapping[str, tuple[int, int]]:
    """Returns random bits that spend the budget."""
    rng = np.random.default_rng(problem.seed)
    return random_within(problem.priced, problem.limits, rng, tolerance=problem.tolerance)


def uniform_assignments(graph: Graph) -> list[dict[str, tuple[int, int]]]:
    """Returns every assignment of one pair of candidates to all searched layers; tensors without a choice keep theirs.

    Pairs that are not candidates of every layer are left out.
    """
    weight_bits = sorted({b for layer in graph.searched for b in layer.weight.bits if len(layer.weight.bits) > 1})
    input_bits = sorted(
        {b for layer in graph.searched for b in layer.activation.bits if len(layer.activation.bits) > 1}
    )
    assignments = {}
    for pair in itertools.product(weight_bits or [0], input_bits or [0]):
        bits = {layer.name: _at(layer, pair) for layer in graph.searched}
        if None not in bits.values():
            assignments[str(bits)] = bits
    return [*assignments.values()]


def _at(layer: Layer, pair):
    """Returns the pair of a layer, with the only bits of a tensor without a choice; None if it is no candidate."""
    weight, activation = (
        candidates.bits[0] if len(candidates.bits) == 1 else bits
        for candidates, bits in zip((layer.weight, layer.activation), pair, strict=True)
    )
    pairs = [(layer.weight.bits[i], layer.activation.bits[j]) for i, j in layer.pairs]
    return (weight, activation) if (weight, activation) in pairs else None


def is_depthwise(layer: Layer) -> bool:
    """Returns True for a layer with a kernel per input channel."""
    shape = layer.require_shape()
    return shape.groups > 1 and shape.groups == shape.in_channels


def _wide(layer: Layer):
    return _DEPTHWISE_BITS if _DEPTHWISE_BITS in layer.weight.bits else layer.weight.bits[-1]


def _most_expensive(
    problem: BudgetProblem,
    options: Iterable[Mapping[str, tuple[int, int]]],
    what: str,
    rank: Callable[[Mapping[str, tuple[int, int]]], int] = lambda bits: 0,
) -> Mapping[str, tuple[int, int]]:
    """Returns the option within the budgets of the highest rank; of equal ones the most expensive, with most bits.

    Options of which another has as many bits everywhere do not count, whatever they cost.
    """
    within, smallest = [], np.inf
    for bits in options:
        pairs = zip(problem.priced, problem.limits, strict=True)
        share = max(priced.of(bits) / limit if limit > 0 else np.inf for priced, limit in pairs)
        smallest = min(smallest, share)
        if share <= 1 + 1e-12:
            within.append(((rank(bits), share, sum(map(sum, bits.values())), tuple(bits.values())), bits))
    if not within:
        cost = ", ".join(
            f"{limit:g} {each.cost.unit} of `{each.cost.name}`"
            for each, limit in zip(problem.priced, problem.limits, strict=True)
        )
        reason = f"the cheapest takes {smallest:.3g} times the budget" if smallest < np.inf else "no bits are common"
        raise ValueError(f"No assignment with {what} is within {cost}: {reason}. Raise the budget or offer fewer bits.")
    arrays = [np.array(list(bits.values())) for _, bits in within]
    largest = [
        option
        for option, array in zip(within, arrays, strict=True)
        if not any((other >= array).all() and (other > array).any() for other in arrays)
    ]
    return max(largest, key=lambda option: option[0])[1]


def _spent(problem: BudgetProblem, bits: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Returns an assignment after rounds in which each layer, in order, takes its next option that fits."""
    knapsack = Knapsack(problem.priced, problem.limits)
    chosen = knapsack.options(bits)
    while True:
        before = chosen.copy()
        for layer in range(len(chosen)):
            richer = knapsack.reaching(chosen) & (knapsack.layer == layer) & knapsack.fitting(chosen)
            richer[chosen[layer]] = False
            options = np.flatnonzero(richer)
            if len(options):
                chosen[layer] = min(
                    options, key=lambda option: (knapsack.bits[option].sum(), -knapsack.bits[option][0])
                )
        if (chosen == before).all():
            return knapsack.assignment(chosen)


def _values(problem: BudgetProblem):
    if problem.harms is None:
        raise ValueError(
            "This baseline needs scores. Received: none. "
            "Give `sensitivity=tfmp.measure_sensitivity(search_model, data)`."
        )
    return {name: -table for name, table in problem.harms.items()}


for _baseline in (uniform, depthwise_8, greedy, ilp, random):
    register_baseline(_baseline.__name__, _baseline, needs_scores=_baseline in (greedy, ilp))
