"""Turns the probabilities of a searched model into a bit assignment."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp import costs
from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_flag, check_integer
from tfmp.graph import BitAssignment, Graph
from tfmp.search.assignment import most_probable, most_probable_within, sample
from tfmp.search.budget import Budget, budgets_of, priced_limits
from tfmp.search.searched_cost import SearchedCost, chosen_layers
from tfmp.search.undecided import is_untouched, warn_if_undecided
from tfmp.transform.model_checks import check_finite_weights
from tfmp.version import VERSION

STRATEGIES = ("argmax", "budget", "sample", "multinomial")
_TRIALS = 50  # EdMIPS, section 4.7
_WAY_OUT = (
    "Search with `SelectionOptimizer(weights)`, whose rates of the logits follow from the number of steps, or longer "
    "and with a higher learning rate of `selection`; or train the fixed network until it has recovered."
)


def discretize(
    search_model: KerasModel,
    *,
    strategy: str = "argmax",
    budget: Budget | Sequence[Budget] | None = None,
    seed: int = 0,
    spend: bool = True,
) -> BitAssignment:
    """Returns the bits that a search chose.

    - `"argmax"`: each tensor at its most probable bits (EdMIPS, eq. 18), at any cost.
    - `"budget"`: the most probable assignment within the budget, exactly; the rest of the budget is then spent.
    - `"sample"`, `"multinomial"`: drawn once, or the most frequent of 50 draws (EdMIPS, eq. 19).

    Args:
        search_model: A relaxed model, trained with `tfmp.MixedPrecisionSearch`. If each tensor has one candidate, it
            need not be trained.
        strategy: One of the above.
        budget: A `tfmp.Budget`, or a list of several, for `"budget"`.
        seed: Integer, for the strategies that draw.
        spend: If False, `"budget"` does not spend the rest of the budget.

    Returns:
        A `BitAssignment` with its BitOps and the cost of each budget. The cost of the searched layers is in its
        provenance, and that of the network if the budget bounds it.

    Warns:
        UserWarning: For `"argmax"` and `"budget"`, if the choices are open (their entropy exceeds 0.15, unless no
            search has changed them), or their expected cost exceeds a budget by more than 2 %.

    Raises:
        ValueError: If the strategy is unknown, the budget is missing, budgets cannot be met, alone or together, no
            layer is quantized, or the search diverged.

    Example:
        >>> assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
    """
    check_choice("strategy", strategy, STRATEGIES)
    check_integer("seed", seed, at_least=0)
    check_flag("spend", spend)
    budgets = () if budget is None else budgets_of(budget)
    if strategy == "budget" and not budgets:
        raise ValueError('`strategy="budget"` needs `budget=tfmp.Budget(...)`. Received: budget=None')
    graph = framework_of(search_model, "search_model").read(search_model)
    check_finite_weights(graph)
    if not chosen_layers(graph):
        raise ValueError(
            f"Model `{graph.name}` has no layer whose bits are open or chosen. Expected a model from `tfmp.relax`."
        )
    if strategy in ("argmax", "budget"):
        _warn_if_undecided(graph, budgets)
    if strategy == "budget":
        bits = most_probable_within(*priced_limits(budgets, graph), spend=spend)
    elif strategy == "argmax":
        bits = most_probable(graph)
    else:
        bits = sample(graph, np.random.default_rng(seed), trials=1 if strategy == "sample" else _TRIALS)
    return decided(graph, bits, strategy=strategy, budget=budget)


def _warn_if_undecided(graph, budgets):
    """Warns if the choices that a search left are open or over budget."""
    probabilities = {
        layer.name: (np.asarray(layer.weight.probabilities), np.asarray(layer.activation.probabilities))
        for layer in graph.searched
    }
    if is_untouched(probabilities):
        return
    costs_of_budgets = {}
    if budgets:
        priced, limits = priced_limits(budgets, graph)
        costs_of_budgets = {each.cost.name: each.expected() / limit for each, limit in zip(priced, limits, strict=True)}
    warn_if_undecided(probabilities, costs_of_budgets, way_out=_WAY_OUT, stacklevel=3)


def decided(
    graph: Graph,
    bits: Mapping[str, tuple[int, int]],
    *,
    strategy: str,
    budget: Budget | Sequence[Budget] | None = None,
    **provenance: Any,
) -> BitAssignment:
    """Returns the assignment of a relaxed graph, with its costs and its provenance.

    Args:
        graph: The relaxed network.
        bits: Layer name to a pair of bits.
        strategy: The strategy that chose them.
        budget: The `Budget` for which they were chosen, a list of several, or None.
        **provenance: More values to record.
    """
    measured: list[costs.Cost] = [costs.BitOps()]
    provenance = {
        "model": graph.name,
        "strategy": strategy,
        "tfmp": VERSION,
        **provenance,
    }
    if budget is not None:
        budgets = budgets_of(budget)
        entries = [_entry(each, graph, bits) for each in budgets]
        provenance["budget"] = entries if isinstance(budget, list | tuple) else entries[0]
        measured += [costs.get(each.cost) for each in budgets if each.limit is not None]
    return BitAssignment(bits, {cost.name: costs.network_cost(graph, cost, bits) for cost in measured}, provenance)


def _entry(budget, graph, bits):
    cost = costs.get(budget.cost)
    return {
        "cost": cost.name,
        "limit": budget.limit,
        "like_uniform": budget.like_uniform,
        "searched_layers": SearchedCost(graph, cost).of(bits),
    }
