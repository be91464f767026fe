"""Keras 3 model to `Graph` and back."""

import dataclasses
import inspect

import keras
import numpy as np

from tfmp.bindings.keras3 import layers as searchable
from tfmp.bindings.keras3.integer_graph import write_integer  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.keras3.layer_variables import assign_weights
from tfmp.bindings.keras3.model_reader import ModelReader
from tfmp.bindings.keras3.model_structure import check_readable, find_operation
from tfmp.bindings.kinds import MULTIPLYING
from tfmp.bindings.model_builder import ModelBuilder
from tfmp.bindings.nesting import local_name, with_equal_uses
from tfmp.types import TensorRef, map_references

_MIXED_CLASSES = {kind: getattr(searchable, f"MixedPrecision{name}") for name, kind in MULTIPLYING.items()}
_MADE_CLASSES = {**_MIXED_CLASSES, "quantize": searchable.Quantize}  # of layers that transforms make


_OF_EVERY_LAYER = ("name", "trainable", "dtype")


class _Builder(ModelBuilder):
    tree = keras.tree

    def make_input(self, tensor, config):
        return keras.Input(**(config or {"batch_shape": tensor.shape, "dtype": tensor.dtype}))

    def make_model(self, inputs, outputs, name, config):
        return config.get("class", keras.Model)(inputs, outputs, name=name)


def read(model, *, weights=True):
    """Returns a built Sequential or functional model as a `Graph`.

    Args:
        model: The model.
        weights: If False, the arrays are left out.

    Raises:
        ValueError: If the model is not built, or a subclass whose structure cannot be read.
    """
    check_readable(model)
    return ModelReader(model, weights).graph()


def write(graph):
    """Builds the model that a `Graph` describes, with the weights that its layers hold.

    Layers that a transform did not touch are built from their own configuration; those with a `weight` or `activation`
    selection become `MixedPrecision*` layers. Nested models are nested again.
    """
    graph = with_equal_uses(graph)
    layers = {layer.name: _build_layer(layer, local_name(graph, layer.name)) for layer in graph.in_order()}
    builder = _Builder(graph, layers)
    inputs, outputs = _ends(graph, builder.build())
    model = builder.make_model(inputs, outputs, graph.name, graph.config)
    for nested, trainable in reversed(builder.models):  # outer ones first: freezing reaches what is inside
        _freeze(nested, trainable)
    for name, built in layers.items():
        weights = graph.layers[name].weights
        assign_weights(built, weights)
        selector = getattr(built, "weight_selector", None)
        if selector is not None and not any(path.startswith("weight_selector/") for path in weights):
            selector.calibrate(np.asarray(built.kernel))
        if graph.layers[name].kind != "quantize":  # frozen with the model that it was put into
            _freeze(built, graph.layers[name].trainable)
    return model


def layer(model, path):
    """Returns a layer of a model by its name in the graph, `"conv1"` or `"backbone/conv1"`.

    Raises:
        ValueError: If there is none.
    """
    return find_operation(model, path)


def tensor_model(model, tensor_names):
    """Returns a model with the same inputs whose outputs are the named tensors of `read(model)`."""
    graph = read(model, weights=False)
    graph = dataclasses.replace(graph, outputs=[TensorRef(name) for name in tensor_names])
    operations = {
        layer.name: _build_layer(layer, layer.name) if layer.kind == "input" else find_operation(model, layer.name)
        for layer in graph.in_order()
    }
    inputs, outputs = _ends(graph, _Builder(graph, operations).build())
    return keras.Model(inputs, outputs)


def _ends(graph, tensors):
    """The structures of a graph's inputs and outputs with a framework's tensors in them."""
    return map_references((graph.inputs, graph.outputs), lambda reference: tensors[reference.name])


def _freeze(built, trainable):
    if not isinstance(built, keras.layers.Layer) or (trainable and built.trainable):
        return
    # Of what a configuration froze, Keras tells the layers inside nothing; and a value that is the same sets nothing.
    built.trainable = not trainable
    built.trainable = trainable


def _build_layer(layer, name):
    """Builds a layer of its own class or, for one that a transform made, of the class that its kind has here."""
    built_class = layer.config.get("class") or _MADE_CLASSES.get(layer.kind, keras.layers.Activation)
    config = dict(layer.config["config"])
    if "name" in config:
        config["name"] = name
    try:
        built = _from_config(built_class, config)
    except Exception as error:
        raise ValueError(
            f"Layer `{layer.name}` ({built_class.__name__}) does not build again from its configuration: {error} Give "
            "its class a `get_config` that returns the arguments of its constructor, and register it and the functions "
            "that it uses with `keras.saving.register_keras_serializable`."
        ) from error
    built.name = name  # also for classes whose constructor takes none
    return built


def _from_config(built_class, config):
    if issubclass(built_class, keras.layers.Lambda):
        return built_class(**config)
    parameters = inspect.signature(built_class.__init__).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        # What Keras says of every layer, also of one whose constructor takes none of it.
        config = {key: value for key, value in config.items() if key in parameters or key not in _OF_EVERY_LAYER}
    return built_class.from_config(config)
