"""Separates activations from layers with a kernel, and sums of many tensors into sums of two."""

import dataclasses
from collections.abc import Collection

from tfmp.bindings.left_alone import unknown_activation
from tfmp.graph import Call, Graph, Layer, LayerOrigin, TensorRef
from tfmp.operators import operator_of
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import function_kind


def with_separate_activations(graph: Graph, fused: Collection[str] = ()) -> Graph:
    """Moves the activations of layers with a kernel to separate layers after them, `<name>_activation`.

    Args:
        graph: The network.
        fused: Names of activations that are not moved; `"linear"` never is.
    """
    inserted, changed = {}, {}
    names: set[str] = set()
    for layer in graph.in_order():
        name = layer.attributes.get("activation", "linear")
        if layer.shape is None or name == "linear" or name in fused:
            continue
        for call in graph.calls_of(layer.name):
            new_name = graph.unused_name(f"{layer.name}_activation", names)
            names.add(new_name)
            config = {"name": new_name, "activation": layer.origin.config["activation"]}
            known = layer.attributes.get("activation_kind") or function_kind(name, graph.framework)
            kind, attributes = known or (OTHER, unknown_activation(config))
            inserted[call.outputs[0]] = Layer(new_name, kind, origin=LayerOrigin(config=config), attributes=attributes)
        origin = layer.origin.replace_config(activation="linear")
        attributes = {**layer.attributes, "activation": "linear", "activation_kind": None}
        changed[layer.name] = dataclasses.replace(layer, origin=origin, attributes=attributes)
    return graph.insert_layers(inserted).replace_layers(changed)


def with_pairwise_additions(graph: Graph) -> Graph:
    """Splits the additions and multiplications of more than two tensors of one shape, because the runtime takes two.

    The user's layer computes the last one; the others become layers `<name>_part`, with stored outputs.
    """
    calls, layers, tensors = [], dict(graph.layers), dict(graph.tensors)
    for call in graph.calls:
        layer, addends = graph.layer_of(call), list(call.inputs)
        operator = operator_of(layer)
        if operator is None or not operator.pairwise or len({tensors[name].shape for name in addends}) > 1:
            calls.append(call)
            continue
        while len(addends) > 2:
            name = dataclasses.replace(graph, layers=layers, tensors=tensors).unused_name(f"{layer.name}_part")
            layers[name] = _renamed(layer, name)
            tensors[name] = dataclasses.replace(tensors[call.outputs[0]], name=name)
            calls.append(Call(name, (_references(addends[:2]),), {}, (name,), call.within))
            addends[:2] = [name]
        if len(addends) < len(call.inputs):
            call = dataclasses.replace(call, args=(_references(addends),), kwargs={})
        calls.append(call)
    return dataclasses.replace(graph, calls=tuple(calls), layers=layers, tensors=tensors)


def _renamed(layer: Layer, name) -> Layer:
    return dataclasses.replace(layer, name=name, origin=layer.origin.replace_config(name=name))


def _references(names):
    return [TensorRef(name) for name in names]
