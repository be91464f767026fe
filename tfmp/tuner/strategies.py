"""Strategies: how a trial finds bits within its budget."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfmp.annotations import KerasModel
from tfmp.assign.assign_by_name import by_name
from tfmp.assign.baselines import baseline_names, needs_scores
from tfmp.assign.discretize import discretize
from tfmp.checks import check_function, check_text
from tfmp.graph import BitAssignment
from tfmp.registry import Registry

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
    return _registry().names()


def name_of(strategy: str | Strategy) -> str:
    """Returns the name of a strategy; registers a new function under its own name.

    Raises:
        ValueError: If the name is unknown, or belongs to another function.
    """
    return _registry().name_of(strategy)


def get(name: str | Strategy) -> Strategy:
    """Returns a strategy by name.

    Raises:
        ValueError: If the name is unknown.
    """
    return _registry().get(name)


def mixed(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
    """Searches the bits while it trains, then fine-tunes at these bits."""
    search_model = run.relaxed()
    run.search(search_model)
    assignment = discretize(search_model, strategy="budget", budget=run.budget)
    return run.fine_tuned(search_model, assignment, run.finetune_epochs), assignment


def _at_baseline(name: str) -> Strategy:
    """Returns the strategy that trains at the bits of a baseline, without a search."""

    def strategy(run: "TrialRun") -> tuple[KerasModel, BitAssignment]:
        search_model = run.relaxed()
        sensitivity = run.sensitivity(search_model) if needs_scores(name) else None
        assignment = by_name(name, search_model, run.budget, sensitivity=sensitivity, seed=run.seed, tolerance=_UNSPENT)
        return run.fine_tuned(search_model, assignment, run.epochs), assignment

    strategy.__name__ = name
    return strategy


def _registry() -> Registry:
    """Returns all strategies, also those of baselines that were registered in the meantime."""
    for name in baseline_names():
        if name not in _REGISTRY.names():
            register_strategy(name, _at_baseline(name))
    return _REGISTRY


register_strategy(mixed.__name__, mixed)
_registry()
