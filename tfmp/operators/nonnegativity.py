"""Which tensors of a network cannot be negative."""

from tfmp.graph import Graph
from tfmp.operators import operator_of


def non_negative_tensors(graph: Graph) -> set[str]:
    """Returns the names of the tensors that the graph shows to be non-negative, whatever the weights and inputs."""
    found: set[str] = set()
    for call in graph.calls:
        layer = graph.layer_of(call)
        operator = operator_of(layer)
        if operator is not None and operator.non_negative(layer, bool(call.inputs) and found.issuperset(call.inputs)):
            found.update(call.outputs)
        found.update(name for name in call.outputs if graph.tensors[name].dtype.startswith(("uint", "bool")))
    return found
