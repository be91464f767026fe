"""Strategies: how a trial finds bits within its budget."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfmp.annotations import KerasModel
from tfmp.assign.assign_by_sensitivity import by_sensitivity
from tfmp.assign.discretize import discretize
from tfmp.assign.random_assignment import at_random
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_function, check_text
from tfmp.graph import BitAssignment
from tfmp.registry import Registry
from tfmp.search.searched_cost import SearchedCost

if TYPE_CHECKING:  # which imports this file
    from tfmp.tuner.trial_run import TrialRun

Strategy = Callable[["TrialRun"], tuple[KerasModel, BitAssignment | None]]

_REGISTRY = Registry("strategy", Callable, "a function of a `TrialRun`")
_UNSPENT = 0.1  # share of a budget that random bits may leave unspent: few layers cannot spend all of it


def register_strategy(name: str, strategy: Strategy) -> None:
    """Registers a strategy for trials.

    Args:
        name: Its name in hypermodels.
        strategy: Function of a `TrialRun` that trains a network within the budget and returns it with its
            `BitAssignment`, or None for the latter. It should train for `run.epochs` in all.

    Raises:
        ValueError: If there is one of that name.
    """
    check_text("name", name)
    check_function("strategy", strategy, "a `TrialRun`")
    _REGISTRY.register(strategy, name)


def strategy_names() -> tuple[str, ...]:
    """Returns the names of all strategies of a `MixedPrecisionHyperModel`."""
    return _REGISTRY.names()


def name_of(strategy: str | Strategy) -> str:
    """Returns the name of a strategy; registers a new function under its own name.

    Raises:
        ValueError: If the name is unknown, or belongs to another function.
    """
    return _REGISTRY.name_of(strategy)


def get(name: str | Strategy) -> Strategy:
    """Returns a strategy by name.

    Raises:
        ValueError: If the name is unknown.
    """
    return _REGISTRY.get(name)


def mixed(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
    """Searches the bits while it trains, then fine-tunes at these bits."""
    search_model = run.relaxed()
    run.search(search_model)
    assignment = discretize(search_model, strategy="budget", budget=run.budget)
    return run.fine_tuned(search_model, assignment, run.finetune_epochs), assignment


def uniform(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
    """Trains at uniform bits: those of the budget, or the most expensive pair of candidates within it."""
    search_model = run.relaxed()
    graph = framework_of(search_model).read(search_model, weights=False)
    pair = run.budget.like_uniform or _most_expensive_pair(graph, run.budget)
    assignment = BitAssignment({layer.name: pair for layer in graph.searched})
    return run.fine_tuned(search_model, assignment, run.epochs), assignment


def ilp(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
    """Trains at the bits with the least total sensitivity, measured on the first inputs, without a search."""
    return _by_sensitivity(run, "knapsack")


def greedy(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
    """Trains at bits that a greedy method finds from the same sensitivities as `ilp`."""
    return _by_sensitivity(run, "greedy")


def random(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
    """Trains at random bits that spend the budget."""
    search_model = run.relaxed()
    assignment = at_random(search_model, run.budget, seed=run.seed, tolerance=_UNSPENT)
    return run.fine_tuned(search_model, assignment, run.epochs), assignment


def _by_sensitivity(run, method):
    search_model = run.relaxed()
    loss = run.keras.losses.get(run.loss)
    assignment = by_sensitivity(search_model, run.calibration_pair, run.budget, loss=loss, method=method)
    return run.fine_tuned(search_model, assignment, run.epochs), assignment


def _most_expensive_pair(graph, budget):
    priced, limit = SearchedCost(graph, budget.cost), budget.limit_for(graph)
    weight_bits = {bits for layer in graph.searched for bits in layer.weight.bits}
    activation_bits = {bits for layer in graph.searched for bits in layer.activation.bits}
    costs_of_pairs = [(priced.uniform(*pair), pair) for pair in itertools.product(weight_bits, activation_bits)]
    within = [(cost, sum(pair), pair) for cost, pair in costs_of_pairs if cost <= limit * (1 + 1e-12)]
    if not within:
        raise ValueError(
            f"No uniform bits are within the budget: the cheapest cost {min(costs_of_pairs)[0]:g} of {limit:g}"
        )
    return max(within)[-1]


for _strategy in (mixed, uniform, random, greedy, ilp):
    register_strategy(_strategy.__name__, _strategy)
