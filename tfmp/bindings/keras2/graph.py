"""tf_keras model to `Graph` and back."""

import numpy as np
import tensorflow as tf
import tf_keras

from tfmp.bindings.keras2 import layers as searchable
from tfmp.bindings.keras2.integer_graph import write_integer  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.keras2.layer_variables import assign_weights
from tfmp.bindings.keras2.model_reader import ModelReader, check_readable, find_layer
from tfmp.bindings.kinds import MULTIPLYING
from tfmp.types import map_references

_MIXED_CLASSES = {kind: getattr(searchable, f"MixedPrecision{name}") for name, kind in MULTIPLYING.items()}
_MADE_CLASSES = {**_MIXED_CLASSES, "quantize": searchable.Quantize}  # of layers that transforms make


def read(model, *, weights=True):
    """Returns a built Sequential or functional model as a `Graph`.

    Args:
        model: The model.
        weights: If False, the arrays are left out.

    Raises:
        ValueError: If the model is not built, or a subclass whose structure cannot be read.
    """
    check_readable(model)
    return ModelReader(model, weights).read()


def write(graph):
    """Builds the model that a `Graph` describes, with the weights that its layers hold.

    Layers that a transform did not touch are built from their own configuration; those with a `weight` or `activation`
    selection become `MixedPrecision*` layers.
    """
    layers = {layer.name: _build_layer(layer) for layer in graph.in_order()}
    tensors = _connect(graph, layers)
    inputs = map_references(graph.inputs, lambda reference: tensors[reference.name])
    outputs = map_references(graph.outputs, lambda reference: tensors[reference.name])
    model = tf_keras.Model(inputs, outputs, name=graph.name)
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
    layers = {layer.name: find_layer(model, layer.name) for layer in graph.in_order() if layer.kind != "input"}
    entrances = {layer.name: _build_layer(layer) for layer in graph.in_order() if layer.kind == "input"}
    tensors = _connect(graph, {**layers, **entrances})
    inputs = map_references(graph.inputs, lambda reference: tensors[reference.name])
    return tf_keras.Model(inputs, [tensors[name] for name in tensor_names])


def layer(model, path):
    """The layer of a model that `read` names so."""
    return find_layer(model, path)


def _connect(graph, layers):
    """Calls layers along the graph and returns every tensor by its name."""
    tensors = {}
    for call in graph.calls:
        layer = layers[call.layer]
        if graph.layers[call.layer].kind == "input":
            tensors[call.outputs[0]] = layer.output
            continue
        args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: tensors[reference.name])
        tensors.update(zip(call.outputs, tf.nest.flatten(layer(*args, **kwargs)), strict=True))
    return tensors


def _build_layer(layer):
    """Builds a layer of its own class or, for one that a transform made, of the class that its kind has here."""
    if "class" in layer.config:
        return layer.config["class"].from_config(layer.config["config"])
    built_class = _MADE_CLASSES.get(layer.kind, tf_keras.layers.Activation)
    return built_class.from_config(layer.config["config"])
