"""Total cost of a network under a bit assignment."""

from collections.abc import Mapping

from tfmp.checks import check_instance
from tfmp.costs.cost import Cost
from tfmp.graph import BitAssignment, Graph


def network_cost(
    graph: Graph, cost: Cost, assignment: BitAssignment | Mapping[str, tuple[int, int]] | None = None
) -> float:
    """Returns the cost of a network: the largest of its sums over layers, plus the cost outside them.

    Args:
        graph: The network, in floating point, relaxed or fixed.
        cost: A `Cost`.
        assignment: Bits of the searched layers; without it, a relaxed network has its expected cost (EdMIPS, eq. 12).

    Returns:
        Float in the cost's unit.
    """
    check_instance("graph", graph, Graph, "a `tfmp.graph.Graph`")
    check_instance("cost", cost, Cost, "a `tfmp.costs.Cost`")
    layers = [layer.name for layer in graph.in_order() if layer.shape is not None]
    return max(sum.of(graph, assignment) for sum in cost.sums(graph, layers)) + cost.outside(graph, layers)
