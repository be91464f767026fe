"""What a model costs."""

from tfmp import costs
from tfmp.bindings import binding
from tfmp.transform.fix import check_assignment
from tfmp.types import BitAssignment


def cost(model, cost, assignment=None) -> float:
    """Returns what a whole network costs.

    Args:
        model: A Keras model: in floating point, relaxed or fixed.
        cost: Name of a cost (`tfmp.costs.names()`), or a `tfmp.costs.Cost`.
        assignment: For a relaxed model, the bits of its searched layers; without it, the expected cost.

    Returns:
        Float in the cost's unit; layers without a price (pooling, normalization) count nothing.

    Raises:
        ValueError: If the cost is unknown, or the assignment is for another model.
    """
    graph = binding.of(model).read(model, weights=False)
    if assignment is not None:
        if not isinstance(assignment, BitAssignment):
            assignment = BitAssignment(assignment)
        check_assignment(graph, assignment)
    return costs.network_cost(graph, costs.get(cost), assignment)
