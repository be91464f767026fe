"""Names of a file's inputs and outputs, taken from the user's model."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfmp.graph import Graph, TensorRef

_INSERTED = ("_quantizer", "_activation")


def signature_inputs(graph: Graph) -> dict[str, str]:
    """Returns the names of the inputs in the file, by input tensor of the graph."""
    return dict(zip(graph.input_names, _names(graph.inputs, graph.input_names), strict=True))


def signature_outputs(graph: Graph) -> tuple[str, ...]:
    """Returns the names of the outputs in the file, in the order of the graph's outputs."""
    return _names(graph.outputs, [_users_tensor(graph, tensor) for tensor in graph.output_names])


def _users_tensor(graph: Graph, tensor: str) -> str:
    """Returns the tensor of the user's model that is an output, before the layers that a transform added after it."""
    inserted = call = graph.producer(tensor)
    while len(call.inputs) == 1:
        source = call.inputs[0]
        call = graph.producer(source)
        if inserted.layer.startswith(tuple(call.layer + ending for ending in _INSERTED)):
            return _users_tensor(graph, source)
        if graph.layer_of(call).kind != "quantize":
            break
    return tensor


def _names(structure: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Returns the keys of inputs or outputs in a dict, otherwise the names of the tensors."""
    if isinstance(structure, Mapping) and all(isinstance(entry, TensorRef) for entry in structure.values()):
        names = structure
    return tuple(str(name).replace(":", "_") for name in names)
