"""Predicts the harm of mixed and uniform bits at equal cost."""

from collections.abc import Mapping

import numpy as np

from tfmp import costs
from tfmp.assign.baselines import BudgetProblem, depthwise_8, ilp, is_depthwise, uniform_assignments
from tfmp.graph import Graph
from tfmp.reports import ForecastRow
from tfmp.search.budget import Budget, priced_limits
from tfmp.search.searched_cost import SearchedCost


def forecast_row(
    graph: Graph, harms: Mapping[str, np.ndarray], budget: Budget, *, eight_bit_error: float = 0.0
) -> ForecastRow:
    """Returns the predicted harm of the best assignment, of uniform bits and of `depthwise_8` at one budget.

    Args:
        graph: The relaxed network.
        harms: Layer name to a `[W, A]` array: the harm of each pair of candidates, more than that of 8 bits.
        budget: The budget.
        eight_bit_error: The harm of 8 bits everywhere.

    Raises:
        ValueError: If the budget cannot be met; the message has the smallest feasible value.
    """
    (priced,), (limit,) = priced_limits(budget, graph)
    problem = BudgetProblem(graph, (budget,), [priced], [limit], harms)
    bits = dict(ilp(problem))
    uniform, pair = _uniform_harm(priced, harms, limit)
    depthwise = _depthwise_harm(problem, harms)
    return ForecastRow(
        budget=_text(priced, budget),
        cost=priced.cost.name,
        unit=priced.cost.unit,
        limit=limit,
        mixed=eight_bit_error + harm_of(graph, harms, bits),
        uniform=None if uniform is None else eight_bit_error + uniform,
        uniform_bits=pair,
        depthwise_8=None if depthwise is None else eight_bit_error + depthwise,
        bits=bits,
    )


def harm_of(graph: Graph, harms: Mapping[str, np.ndarray], bits: Mapping[str, tuple[int, int]]) -> float:
    """Returns the sum of the harms of an assignment; a tensor without a choice has one bit-width."""
    total = 0.0
    for name, table in harms.items():
        layer, (weight, activation) = graph.layers[name], bits[name]
        row = layer.weight.bits.index(weight) if len(layer.weight.bits) > 1 else 0
        column = layer.activation.bits.index(activation) if len(layer.activation.bits) > 1 else 0
        total += float(table[row, column])
    return total


def _uniform_harm(priced: SearchedCost, harms, limit):
    """Returns the harm of uniform bits at a cost, and the best pair within it.

    Uniform pairs that are no worse than all cheaper ones form a curve. Between two of them the harm is interpolated in
    proportion to the cost: its logarithm, since each bit divides it by about 4; the harm itself, if one is zero.
    """
    points: list[tuple[float, float, tuple[int, int]]] = []
    rows = [(priced.of(bits), harm_of(priced.graph, harms, bits), bits) for bits in uniform_assignments(priced.graph)]
    for cost, harm, bits in sorted(rows, key=lambda row: row[:2]):
        if not points or harm < points[-1][1]:
            points.append((cost, harm, _open_pair(priced.graph, bits)))
    below = [point for point in points if point[0] <= limit * (1 + 1e-12)]
    above = points[len(below) :]
    if not below:
        return None, None
    cost, harm, pair = below[-1]
    if not above:
        return harm, pair
    share = (limit - cost) / (above[0][0] - cost)
    if above[0][1] > 0:
        return float(np.exp((1 - share) * np.log(harm) + share * np.log(above[0][1]))), pair
    return (1 - share) * harm + share * above[0][1], pair


def _open_pair(graph: Graph, bits):
    """Returns the bits of the tensors with a choice, 0 for kernels or inputs of which none has one."""
    weights = [bits[layer.name][0] for layer in graph.searched if len(layer.weight.bits) > 1]
    inputs = [bits[layer.name][1] for layer in graph.searched if len(layer.activation.bits) > 1]
    return (weights or [0])[0], (inputs or [0])[0]


def _depthwise_harm(problem: BudgetProblem, harms):
    if not any(map(is_depthwise, problem.graph.searched)):
        return None
    try:
        return harm_of(problem.graph, harms, depthwise_8(problem))
    except ValueError:  # the budget is too small for it
        return None


def _text(priced: SearchedCost, budget: Budget) -> str:
    if budget.like_uniform is not None:
        return f"{priced.cost.name}, W{budget.like_uniform[0]}A{budget.like_uniform[1]}"
    return f"{priced.cost.name}, {budget.limit:.6g} {priced.cost.unit}"


def uniform_budgets(graph: Graph, cost: costs.CostLike) -> list[Budget]:
    """Returns the budgets of uniform bits that differ in cost, from the cheapest to the most expensive.

    If kernels and inputs both have a choice, these are the pairs of equal bits, or all pairs if no bits are common.
    """
    priced, first = SearchedCost(graph, cost), graph.searched[0].name
    assignments = uniform_assignments(graph)
    equal = [bits for bits in assignments if len(set(_open_pair(graph, bits)) - {0}) == 1]
    budgets: dict[float, Budget] = {}
    for bits in equal or assignments:
        budgets.setdefault(priced.of(bits), Budget(cost, like_uniform=bits[first]))
    return [budgets[value] for value in sorted(budgets)]
