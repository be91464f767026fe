"""Runs parts of a network, and keeps the tensors between them."""

import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.bindings.model_builder import ModelBuilder
from tfmp.data.whole_batches import by_whole_batches
from tfmp.graph import Call, Graph, Layer, TensorRef

_BATCH_SIZE = 64


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
    """The tensors of a model, over all samples, that calls from some position on read from the calls before it.

    Args:
        model: The `SegmentedModel`; its variables may change between calls of `advance`, for calls not yet passed.
        batches: Its inputs, structures of arrays.
    """

    def __init__(self, model: SegmentedModel, batches: Sequence[Any]):
        self._model, self._position = model, 0
        names = list(model.graph.input_names)
        read = by_whole_batches(framework_of(model.model).tensor_model(model.model, names))
        self._values = dict(zip(names, _over_all(read, batches), strict=True))

    def advance(self, position: int) -> None:
        """Computes the calls before a position, and drops what only they read."""
        live = _live(self._model.graph, position)
        self._values = self.compute(live)
        self._position = position

    def compute(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns tensors by name, which follow from those that are kept; they are not kept."""
        missing = [name for name in names if name not in self._values]
        computed: dict[str, np.ndarray] = {}
        if missing:
            calls = segment(self._model.graph, list(self._values), missing).calls[len(self._values) :]
            read = {name for call in calls for name in call.inputs}
            sources = [name for name in self._values if name in read]
            part = self._model.part(sources, missing)
            count = len(self._values[sources[0]])
            batches = [
                [self._values[name][start : start + _BATCH_SIZE] for name in sources]
                for start in range(0, count, _BATCH_SIZE)
            ]
            computed = dict(zip(missing, _over_all(by_whole_batches(part), batches), strict=True))
        return {name: self._values[name] if name in self._values else computed[name] for name in names}


def _live(graph, position):
    computed = {name for call in graph.calls[:position] for name in call.outputs}
    read = (name for call in graph.calls[position:] for name in call.inputs)
    return [name for name in dict.fromkeys(read) if name in computed]


def _over_all(compute: Callable[[Any], Any], batches):
    parts = [compute(batch) for batch in batches]
    parts = [part if isinstance(part, list | tuple) else [part] for part in parts]
    return [np.concatenate([np.asarray(each) for each in group]) for group in zip(*parts, strict=True)]
