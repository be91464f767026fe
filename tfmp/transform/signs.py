"""Which tensors of a network cannot be negative."""

from tfmp.types import Graph

NON_NEGATIVE_ACTIVATIONS = ("relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus", "exponential")
_KEEPS_SIGN = (
    "max_pool",
    "global_max_pool",
    "average_pool",
    "mean",
    "pad",
    "reshape",
    "identity",
    "concatenate",
    "add",
    "quantize",
)


def non_negative_tensors(graph: Graph) -> set[str]:
    """Returns the names of the tensors that the graph shows to be non-negative, whatever the weights and inputs."""
    found = set()
    for call in graph.calls:
        layer = graph.layer_of(call)
        activation = None if layer.kind == "other" else layer.attributes.get("activation")
        if layer.kind in ("relu", "softmax") or activation in NON_NEGATIVE_ACTIVATIONS:
            found.update(call.outputs)
        elif layer.kind in _KEEPS_SIGN and all(name in found for name in call.inputs):
            found.update(call.outputs)
    return found
