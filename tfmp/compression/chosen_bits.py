"""Chooses bits within budgets by sensitivities, and the simplest bits that are as good."""

from collections.abc import Sequence

from tfmp.annotations import KerasModel
from tfmp.assign.assign_by_name import by_name
from tfmp.assign.baselines import is_depthwise
from tfmp.assign.sensitivity import Sensitivity
from tfmp.graph import BitAssignment, Graph
from tfmp.reports.forecast import NEGLIGIBLE_HARM, SMALLEST_GAIN
from tfmp.search.budget import Budget, priced_limits
from tfmp.search.searched_cost import SearchedCost

_MOST_RAISED, _STEPS = 64.0, 12


def chosen_bits(
    sensitivity: Sensitivity, search_model: KerasModel, budgets: Sequence[Budget]
) -> tuple[BitAssignment, str]:
    """Returns bits within budgets, and in words why these.

    They are uniform, or `"depthwise_8"`, where these predict a negligible harm or less than 1.5 times the least: such a
    difference is within the error of adding up sensitivities. Otherwise they are those of least harm.

    Args:
        sensitivity: The sensitivities of the relaxed model.
        search_model: The relaxed model.
        budgets: Budgets that can be met together.
    """
    exact = by_name("ilp", search_model, list(budgets), sensitivity=sensitivity)
    least = sensitivity.harm(exact)
    names = ["uniform"]
    if sensitivity.graph is not None and any(map(is_depthwise, sensitivity.graph.searched)):
        names.append("depthwise_8")
    for name in names:
        try:
            assignment = by_name(name, search_model, list(budgets))
            harm = sensitivity.harm(assignment)
        except ValueError:  # nothing of this kind is within the budgets
            continue
        if harm <= NEGLIGIBLE_HARM:
            return assignment, f"{name} bits are predicted to harm next to nothing ({harm:.2g})"
        if harm < SMALLEST_GAIN * least:
            return assignment, f"mixed bits are predicted to gain next to nothing over {name} ones"
    return exact, f"bits by sensitivities are predicted to harm least ({least:.2g})"


def closest_budgets(graph: Graph, budgets: Sequence[Budget]) -> list[Budget]:
    """Returns budgets that can be met together: those given, with limits raised to what is possible where needed.

    Args:
        graph: A relaxed network.
        budgets: The budgets.
    """
    raised = [_raised(graph, budget) for budget in budgets]
    if can_be_met(graph, raised):
        return raised
    low, high = 1.0, _MOST_RAISED
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        is_enough = can_be_met(graph, scaled(graph, raised, [middle] * len(raised)))
        low, high = (low, middle) if is_enough else (middle, high)
    return scaled(graph, raised, [high] * len(raised))


def can_be_met(graph: Graph, budgets: Sequence[Budget]) -> bool:
    """Returns whether an assignment of a relaxed network meets all budgets."""
    try:
        priced_limits(list(budgets), graph)
    except ValueError:
        return False
    return True


def scaled(graph: Graph, budgets: Sequence[Budget], factors: Sequence[float]) -> list[Budget]:
    """Returns budgets with each limit multiplied by its factor, also those of uniform bits."""
    return [
        Budget(budget.cost, limit=factor * whole_limit(graph, budget))
        for budget, factor in zip(budgets, factors, strict=True)
    ]


def whole_limit(graph: Graph, budget: Budget) -> float:
    """Returns the limit of a budget for the whole network, in the unit of its cost."""
    if budget.limit is not None or budget.like_uniform is None:
        return float(budget.limit or 0)
    priced = SearchedCost(graph, budget.cost)
    return priced.outside + priced.uniform(*budget.like_uniform)


def _raised(graph: Graph, budget: Budget) -> Budget:
    priced = SearchedCost(graph, budget.cost)
    least = (priced.smallest + priced.outside) * (1 + 1e-9)
    return budget if whole_limit(graph, budget) >= least else Budget(budget.cost, limit=least)
