"""Assigns bits by the name of a baseline."""

from collections.abc import Sequence

from tfmp.annotations import KerasModel
from tfmp.assign.baselines import BudgetProblem, baseline_named
from tfmp.assign.discretize import decided
from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_instance, check_integer, check_number
from tfmp.graph import BitAssignment
from tfmp.search.budget import Budget, budgets_of, priced_limits
from tfmp.search.searched_cost import with_uniform_bits


def by_name(
    name: str,
    search_model: KerasModel,
    budget: Budget | Sequence[Budget],
    *,
    sensitivity: Sensitivity | None = None,
    seed: int = 0,
    tolerance: float = 0.02,
) -> BitAssignment:
    """Returns the bits that a baseline chooses within a budget.

    - `"uniform"`: the same bits in every layer: those of the budget, or the most expensive pair of candidates within.
    - `"depthwise_8"`: kernels of depthwise layers at 8 bits, or their widest candidate; the same bits in all others.
      The rest of the budget is spent layer by layer, in the order of the network.
    - `"greedy"`, `"ilp"`: the bits of least total sensitivity, by steps of the best gain for its cost, or exactly.
    - `"random"`: random bits that spend the budget.

    Args:
        name: One of these, or of `register_baseline`.
        search_model: A relaxed model.
        budget: A `tfmp.Budget`, or a list of several that all hold.
        sensitivity: The scores of this model, for `"greedy"` and `"ilp"`.
        seed: Integer, for `"random"`.
        tolerance: Share of the budget that `"random"` may leave.

    Returns:
        A `BitAssignment`.

    Raises:
        ValueError: If the name is unknown, the budget cannot be met (the message has the smallest feasible value),
            scores are missing or of another model, or no layer is searched.

    Example:
        >>> budget = tfmp.Budget("model_size", like_uniform=(4, 8))
        >>> assignment = tfmp.assign.by_name("depthwise_8", search_model, budget)
    """
    baseline = baseline_named(name)
    check_integer("seed", seed, at_least=0)
    check_number("tolerance", tolerance, at_least=0, at_most=1)
    budgets = budgets_of(budget)
    graph = framework_of(search_model, "search_model").read(search_model, weights=False)
    if not graph.searched:
        raise ValueError(f"Model `{graph.name}` has no layer whose bits are open. Expected a model from `tfmp.relax`.")
    harms = None
    if sensitivity is not None:
        check_instance("sensitivity", sensitivity, Sensitivity, "a `tfmp.Sensitivity`")
        harms = sensitivity.of(search_model).tables()
    bits = baseline(BudgetProblem(graph, budgets, *priced_limits(budgets, graph), harms, seed, tolerance))
    first = next(iter(bits.values()))
    if all(pair == first for pair in bits.values()):  # bits of a budget that need not be candidates
        graph = with_uniform_bits(graph, *first)
    return decided(graph, bits, strategy=name, budget=budget, seed=seed)
