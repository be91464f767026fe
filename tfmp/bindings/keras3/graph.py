"""Keras 3 model to `Graph` and back."""

import dataclasses

import keras
import numpy as np

from tfmp.bindings.distilled_model import distilled_model
from tfmp.bindings.keras3 import layers as searchable
from tfmp.bindings.keras3.integer_graph import write_integer  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.keras3.layer_variables import assign_weights, variables_by_path
from tfmp.bindings.keras3.model_reader import ModelReader
from tfmp.bindings.keras3.model_structure import check_readable, find_operation, model_class
from tfmp.bindings.layer_builder import LayerBuilder, build_layer
from tfmp.bindings.layer_kinds import MULTIPLYING
from tfmp.bindings.model_builder import ModelBuilder
from tfmp.bindings.nesting import with_equal_uses
from tfmp.bindings.sharing import check_sharing
from tfmp.graph import TensorRef, map_references

_MIXED_CLASSES = {kind: getattr(searchable, f"MixedPrecision{name}") for name, kind in MULTIPLYING.items()}
_MADE_CLASSES = {  # of layers that transforms make
    **_MIXED_CLASSES,
    **dict.fromkeys(("arg_max", "arg_min"), searchable.IntegerOperation),
    "quantize": searchable.Quantize,
}


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
    layers = LayerBuilder(graph, made_classes=_MADE_CLASSES, framework=keras, rename=_rename).build()
    builder = _Builder(graph, layers)
    inputs, outputs = _ends(graph, builder.build())
    model = builder.make_model(inputs, outputs, graph.name, graph.config)
    for nested, trainable in reversed(builder.models):  # outer ones first: freezing reaches what is inside
        _freeze(nested, trainable)
    for name, built in layers.items():
        weights = graph.layers[name].weights
        assign_weights(built, weights, graph.layers[name].shared)
        selector = getattr(built, "weight_selector", None)
        if selector is not None and not any(path.startswith("weight_selector/") for path in weights):
            selector.calibrate(np.asarray(built.kernel))
        if graph.layers[name].kind != "quantize":  # frozen with the model that it was put into
            _freeze(built, graph.layers[name].trainable)
    check_sharing(graph, {name: list(variables_by_path(built).values()) for name, built in layers.items()})
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
        layer.name: _build_input(layer) if layer.kind == "input" else find_operation(model, layer.name)
        for layer in graph.in_order()
    }
    inputs, outputs = _ends(graph, _Builder(graph, operations).build())
    return keras.Model(inputs, outputs)


def distilled(model, soft_targets):
    """Returns a model over the layers of another that learns from `tfmp.mixins.distillation.SoftTargets`, too."""
    return distilled_model(model, soft_targets, model_class(model))


def _ends(graph, tensors):
    """The structures of a graph's inputs and outputs with a framework's tensors in them."""
    return map_references((graph.inputs, graph.outputs), lambda reference: tensors[reference.name])


def _freeze(built, trainable):
    if not isinstance(built, keras.layers.Layer) or (trainable and built.trainable):
        return
    # Of what a configuration froze, Keras tells the layers inside nothing; and a value that is the same sets nothing.
    built.trainable = not trainable
    built.trainable = trainable


def _build_input(layer):
    return build_layer(layer, layer.name, made_classes=_MADE_CLASSES, framework=keras)


def _rename(built, name):
    built.name = name
