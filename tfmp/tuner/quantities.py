"""What trials measure besides the accuracy."""

from tfmp import costs
from tfmp.bindings import binding
from tfmp.transform.split_separables import with_split_separables

_RECORDED = ("bitops", "model_size", "tflite_bytes", "energy", "latency")
_SUFFIXES = {"nJ": "_nj", "cycles": "_cycles", "bits": "_bits", "us": "_us"}


def quantity_name(cost) -> str:
    """How records call a cost: its name and its unit, `energy_nj`, `tflite_bytes`."""
    cost = costs.get(cost)
    return cost.name + _SUFFIXES.get(cost.unit, "")


def measured_costs(model, budget) -> dict[str, float]:
    """Everything that a network costs, by `quantity_name`; what cannot be priced is left out.

    Args:
        model: The network at fixed bits.
        budget: A `tfmp.Budget`, whose cost is measured too.
    """
    graph, found = with_split_separables(binding.of(model).read(model, weights=False)), {}
    for cost in [*map(costs.get, _RECORDED), costs.get(budget.cost)]:
        try:
            found[quantity_name(cost)] = float(costs.network_cost(graph, cost))
        except ValueError:  # energy and cycles of a layer in floating point
            continue
    return found
