"""From a searched model to the bits it decided on."""

import importlib.metadata

import numpy as np

from tfmp import costs
from tfmp.bindings import binding
from tfmp.search.assignment import most_probable, most_probable_within, sample
from tfmp.search.budget import Budget, SearchedCost
from tfmp.transform.finite_weights import check_finite_weights
from tfmp.types import BitAssignment

STRATEGIES = ("argmax", "budget", "sample", "multinomial")
_TRIALS = 50  # EdMIPS, section 4.7


def discretize(search_model, *, strategy="argmax", budget=None, seed=0, spend=True) -> BitAssignment:
    """Returns the bits that a search decided on.

    - `"argmax"`: each tensor at its most probable bits (EdMIPS, eq. 18), whatever it costs.
    - `"budget"`: the most probable assignment within the budget, exactly; what is left of the budget is then spent.
    - `"sample"`, `"multinomial"`: drawn once, or the most frequent of 50 draws (EdMIPS, eq. 19).

    Args:
        search_model: A relaxed model, trained with `tfmp.MixedPrecisionSearch`.
        strategy: One of the above.
        budget: A `tfmp.Budget`, for `"budget"`.
        seed: Integer, for the drawn ones.
        spend: If False, `"budget"` leaves unspent what the most probable assignment does not need.

    Returns:
        A `BitAssignment` with its BitOps, and the budget's cost: of the searched layers in its provenance, and of the
        network where the budget bounds that.

    Raises:
        ValueError: If the strategy is unknown, the budget is missing or cannot be met, no layer is searched, or the
            search diverged.

    Example:
        >>> assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {', '.join(STRATEGIES)}. Received: {strategy!r}")
    if strategy == "budget" and not isinstance(budget, Budget):
        raise ValueError(f'`strategy="budget"` needs `budget=tfmp.Budget(...)`. Received: budget={budget!r}')
    graph = binding.of(search_model).read(search_model)
    check_finite_weights(graph)
    if not graph.searched:
        raise ValueError(f"Model `{graph.name}` has no layer whose bits are open. Expected a model from `tfmp.relax`.")
    if strategy == "budget":
        bits = most_probable_within(SearchedCost(graph, budget.cost), budget.limit_for(graph), spend=spend)
    elif strategy == "argmax":
        bits = most_probable(graph)
    else:
        bits = sample(graph, np.random.default_rng(seed), trials=1 if strategy == "sample" else _TRIALS)
    return decided(graph, bits, strategy=strategy, budget=budget)


def decided(graph, bits, *, strategy, budget=None, **provenance) -> BitAssignment:
    """Returns the assignment of a relaxed graph with its costs and how it came about.

    Args:
        graph: The relaxed network.
        bits: Layer name to a pair of bits.
        strategy: What chose them.
        budget: The `Budget` they were chosen under, or None.
        **provenance: More to be recorded.
    """
    measured = [costs.BitOps()]
    provenance = {
        "model": graph.name,
        "strategy": strategy,
        "tfmp": importlib.metadata.version("tfmp"),
        **provenance,
    }
    if budget is not None:
        cost = costs.get(budget.cost)
        provenance["budget"] = {
            "cost": cost.name,
            "limit": budget.limit,
            "like_uniform": budget.like_uniform,
            "searched_layers": SearchedCost(graph, cost).of(bits),
        }
        if budget.limit is not None:
            measured.append(cost)
    return BitAssignment(bits, {cost.name: costs.network_cost(graph, cost, bits) for cost in measured}, provenance)
