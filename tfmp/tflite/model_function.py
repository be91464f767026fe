"""Models as functions of a list of arrays: the exported one and its floating-point reference."""

from collections.abc import Callable, Mapping
from typing import Any

from tfmp.annotations import KerasModel, Tensor
from tfmp.bindings.framework import framework_of
from tfmp.checks import received
from tfmp.data.whole_batches import by_whole_batches
from tfmp.graph import Graph, TensorRef, map_references
from tfmp.lowering.signature_names import signature_inputs


class PlainFunction:
    """Calls a model at inference with one tensor per input, and returns its outputs as a list.

    Args:
        model: A Keras model.
        graph: The graph of the model.
    """

    def __init__(self, model: KerasModel, graph: Graph):
        self._model, self._graph = model, graph

    def __call__(self, *tensors: Tensor) -> list[Any]:
        """Computes outputs in the order of the graph's outputs from tensors in the order of its inputs."""
        named = dict(zip(self._graph.input_names, tensors, strict=True))
        inputs = map_references(self._graph.inputs, lambda reference: named[reference.name])
        return list(_leaves(self._graph.outputs, by_whole_batches(self._model)(inputs)))


def _leaves(structure, values):
    """Yields the entries of `values` at the places where `structure` has references."""
    if isinstance(structure, TensorRef):
        yield values
    else:
        keys = structure if isinstance(structure, Mapping) else range(len(structure))
        for key in keys:
            yield from _leaves(structure[key], values[key])


def reference_function(reference: KerasModel, graph: Graph) -> Callable[..., list[Any]]:
    """Returns a model as a function of arrays, in the order of another model's inputs and outputs.

    Args:
        reference: A Keras model with the same inputs and outputs; inputs are matched by name if the names are equal.
        graph: The other model.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If its inputs or outputs have other shapes.
    """
    try:
        reference_graph = framework_of(reference).read(reference, weights=False)
    except TypeError as error:
        raise TypeError(
            f"`reference` must be a Keras model, the one in floating point. Received: {received(reference)}"
        ) from error
    names, own_names = (list(signature_inputs(each).values()) for each in (graph, reference_graph))
    order = [names.index(name) for name in own_names] if set(names) == set(own_names) else range(len(names))
    ends = [
        ("inputs", [graph.input_names[i] for i in order], reference_graph.input_names),
        ("outputs", graph.output_names, reference_graph.output_names),
    ]
    for what, expected, reference_names in ends:
        shapes = [
            [each.tensors[name].shape[1:] for name in tensors]
            for each, tensors in ((graph, expected), (reference_graph, reference_names))
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"`reference` must have the {what} of the exported model, of the shapes {shapes[0]} for each sample. "
                f"Received: model `{reference_graph.name}` with {shapes[1]}. "
                "Give the model that `tfmp.relax` was given."
            )
    function = PlainFunction(reference, reference_graph)
    return lambda *arrays: function(*(arrays[i] for i in order))
