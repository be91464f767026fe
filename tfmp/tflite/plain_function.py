"""Turns a model into a function of a list of arrays."""

from collections.abc import Mapping
from typing import Any

from tfmp.annotations import KerasModel, Tensor
from tfmp.data.whole_batches import by_whole_batches
from tfmp.graph import Graph, TensorRef, map_references


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
