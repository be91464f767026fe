"""Runs parts of a network, and keeps the tensors between them."""

import tempfile
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.bindings.model_builder import ModelBuilder
from tfmp.data.whole_batches import by_whole_batches, fixed_batch_size
from tfmp.graph import Call, Graph, Layer, TensorRef
from tfmp.graph.masks import has_masks

_BYTES_IN_MEMORY = 2**30  # of the tensors that one step computes


class SegmentedModel:
    """A model of which parts are run.

    Args:
        model: The model.

    Attributes:
        graph: Its graph, without weights.
    """

    def __init__(self, model: KerasModel):
        self._framework = framework_of(model)
        self.model, self.graph = model, self._framework.read(model, weights=False)
        self._operations = {
            layer.name: self._framework.layer(model, layer.name)
            for layer in self.graph.in_order()
            if layer.kind != "input"
        }
        self._functions: dict[Any, Callable[[Any], Any]] = {}

    def function(self, inputs: Sequence[str], outputs: Sequence[str]) -> Callable[[Any], Any]:
        """Returns the traced function that computes some tensors from others in whole batches, both as lists."""
        ends = tuple(inputs), tuple(outputs)
        if ends not in self._functions:
            part = self.part(inputs, outputs)
            is_fixed = fixed_batch_size(part) is not None
            self._functions[ends] = tf.function(by_whole_batches(part), reduce_retracing=not is_fixed)
        return self._functions[ends]

    def part(self, inputs: Sequence[str], outputs: Sequence[str]) -> KerasModel:
        """Returns a model, over the same layers, from some tensors to others that follow from them, both as lists."""
        graph = segment(self.graph, inputs, outputs)
        ends = {name: self._framework.make_input(graph.tensors[name]) for name in inputs}
        starts = {
            call.layer: types.SimpleNamespace(output=ends[call.outputs[0]]) for call in graph.calls[: len(inputs)]
        }
        return self._framework.package.Model(
            *ModelBuilder(graph, {**self._operations, **starts}, self._framework).build_ends()
        )


def segment(graph: Graph, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
    """Returns the part of a graph that computes some tensors from others, without nested models.

    Args:
        graph: The network.
        inputs: Names of the tensors that are given.
        outputs: Names of tensors that follow from them.
    """
    needed, calls = set(outputs) - set(inputs), []
    for call in reversed(graph.calls):
        if needed & set(call.outputs):
            if graph.layer_of(call).kind == "input":
                raise ValueError(f"Expected tensors that follow from {', '.join(inputs)}. Received: {call.outputs[0]}")
            calls.append(Call(call.layer, call.args, call.kwargs, call.outputs))
            needed |= set(call.inputs) - set(inputs)
            needed -= set(call.outputs)
    layers = {call.layer: graph.layers[call.layer] for call in calls}
    starts = []
    for name in inputs:
        layers[f"{name} given"] = Layer(f"{name} given", "input")
        starts.append(Call(f"{name} given", (), {}, (name,)))
    return Graph(
        graph.name,
        layers,
        (*starts, *reversed(calls)),
        graph.tensors,
        [TensorRef(name) for name in inputs],
        [TensorRef(name) for name in outputs],
        graph.framework,
    )


class LiveTensors:
    """The tensors of a model, batch by batch, that calls from some position on read from the calls before it.

    What exceeds a gigabyte is kept in temporary files.

    Args:
        model: The `SegmentedModel`; its variables may change between calls of `advance`, for calls not yet passed.
        batches: Its inputs, structures of arrays.
    """

    def __init__(self, model: SegmentedModel, batches: Sequence[Any]):
        self._model = model
        names = list(model.graph.input_names)
        read = by_whole_batches(framework_of(model.model).tensor_model(model.model, names))
        self._values = self._batchwise(names, read, batches)

    def advance(self, position: int) -> None:
        """Computes the calls before a position, and drops what only they read."""
        graph = self._model.graph
        # A mask would be lost between two parts.
        self._values = self.compute(graph.input_names if has_masks(graph) else _live(graph, position))

    def compute(self, names: Sequence[str]) -> dict[str, list[np.ndarray]]:
        """Returns tensors, which follow from those that are kept, as lists of batches by name; they are not kept."""
        missing = [name for name in names if name not in self._values]
        computed: dict[str, list[np.ndarray]] = {}
        if missing:
            calls = segment(self._model.graph, list(self._values), missing).calls[len(self._values) :]
            read = {name for call in calls for name in call.inputs}
            sources = [name for name in self._values if name in read]
            batches = zip(*(self._values[name] for name in sources), strict=True)
            computed = self._batchwise(missing, self._model.function(sources, missing), map(list, batches))
        return {name: self._values[name] if name in self._values else computed[name] for name in names}

    def _batchwise(self, names, function, batches):
        """Returns the outputs of a function of a batch, as lists of batches by name."""
        outputs: dict[str, list[np.ndarray]] = {name: [] for name in names}
        room = _BYTES_IN_MEMORY
        for batch in batches:
            values = function(batch)
            for name, value in zip(names, values if isinstance(values, list | tuple) else [values], strict=True):
                array = np.asarray(value)
                room -= array.nbytes
                outputs[name].append(array if room >= 0 else _in_file(array))
        return outputs


def _live(graph, position):
    computed = {name for call in graph.calls[:position] for name in call.outputs}
    read = (name for call in graph.calls[position:] for name in call.inputs)
    return [name for name in dict.fromkeys(read) if name in computed]


def _in_file(array):
    """Returns the same array in a temporary file, which goes with it."""
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped
