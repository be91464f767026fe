"""Keras 3 model to `Graph` and back."""

import keras
import numpy as np

from tfmp.bindings.keras3 import layers as searchable
from tfmp.bindings.keras3.integer_graph import write_integer  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.keras3.layer_variables import assign_weights
from tfmp.bindings.keras3.model_reader import ModelReader, check_readable, find_operation
from tfmp.bindings.kinds import MULTIPLYING
from tfmp.types import map_references

_MIXED_CLASSES = {kind: getattr(searchable, f"MixedPrecision{name}") for name, kind in MULTIPLYING.items()}
_PLAIN_CLASSES = {
    "quantize": searchable.Quantize,
    "softmax": keras.layers.Activation,
    "other": keras.layers.Activation,
}


def read(model, *, weights=True):
    """Returns a built Sequential or functional model as a `Graph`.

    Args:
        model: The model.
        weights: If False, the arrays are left out.

    Raises:
        ValueError: If the model is not built, or a subclass whose structure cannot be read.
    """
    check_readable(model)
    reader = ModelReader(model, weights)
    return reader.sequential() if isinstance(model, keras.Sequential) else reader.functional()


def write(graph):
    """Builds the model that a `Graph` describes, with the weights that its layers hold.

    Layers that a transform did not touch are built from their own configuration; those with a `weight` or `activation`
    selection become `MixedPrecision*` layers.
    """
    layers = {layer.name: _build_layer(layer) for layer in graph.in_order()}
    tensors = _connect(graph, layers)
    inputs = map_references(graph.inputs, lambda reference: tensors[reference.name])
    outputs = map_references(graph.outputs, lambda reference: tensors[reference.name])
    model = keras.Model(inputs, outputs, name=graph.name)
    for name, built in layers.items():
        weights = graph.layers[name].weights
        assign_weights(built, weights)
        selector = getattr(built, "weight_selector", None)
        if selector is not None and not any(path.startswith("weight_selector/") for path in weights):
            selector.calibrate(np.asarray(built.kernel))
    return model


def tensor_model(model, tensor_names):
    """Returns a model with the same inputs whose outputs are the named tensors of `read(model)`."""
    graph = read(model, weights=False)
    operations = {layer.name: find_operation(model, layer.name) for layer in graph.in_order() if layer.kind != "input"}
    entrances = {layer.name: _build_layer(layer) for layer in graph.in_order() if layer.kind == "input"}
    tensors = _connect(graph, {**operations, **entrances})
    inputs = map_references(graph.inputs, lambda reference: tensors[reference.name])
    return keras.Model(inputs, [tensors[name] for name in tensor_names])


def _connect(graph, operations):
    """Calls layers along the graph and returns every tensor by its name.

    Args:
        graph: The graph.
        operations: Layer name to a Keras layer, or an operation used without one.
    """
    tensors = {}
    for call in graph.calls:
        operation = operations[call.layer]
        if graph.layers[call.layer].kind == "input":
            tensors[call.outputs[0]] = operation.output
            continue
        args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: tensors[reference.name])
        tensors.update(zip(call.outputs, keras.tree.flatten(operation(*args, **kwargs)), strict=True))
    return tensors


def _build_layer(layer):
    """Builds a layer of its own class or, for one that a transform made, of the class that its kind has here."""
    if "class" in layer.config:
        return layer.config["class"].from_config(layer.config["config"])
    classes = _MIXED_CLASSES if layer.kind in _MIXED_CLASSES else _PLAIN_CLASSES
    return classes[layer.kind].from_config(layer.config["config"])
