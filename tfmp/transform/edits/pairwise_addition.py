"""Splits sums and products of many tensors into binary ones."""

import dataclasses

from tfmp.graph import Call, Graph, Layer, TensorRef
from tfmp.operators import operator_of


def with_pairwise_additions(graph: Graph) -> Graph:
    """Splits the additions and multiplications of more than two tensors of one shape, because the runtime takes two.

    The user's layer makes the last; those before it get layers `<name>_part`, and with them storage of their own.
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
    config = {**layer.config, "config": {**layer.config["config"], "name": name}}
    return dataclasses.replace(layer, name=name, config=config)


def _references(names):
    return [TensorRef(name) for name in names]
