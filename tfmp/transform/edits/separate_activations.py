"""Splits activations off into layers."""

import dataclasses
from collections.abc import Collection

from tfmp.bindings.left_alone import unknown_activation
from tfmp.graph import Graph, Layer
from tfmp.operators.recognition import OTHER, function_kind


def with_separate_activations(graph: Graph, fused: Collection[str] = ()) -> Graph:
    """Moves the activations of layers with a kernel into layers of their own, `<name>_activation`, behind them.

    Args:
        graph: The network.
        fused: Names of activations that stay where they are; `"linear"` is none.
    """
    for layer in list(graph.in_order()):
        name = layer.attributes.get("activation", "linear")
        if layer.shape is None or name == "linear" or name in fused:
            continue
        for call in [call for call in graph.calls if call.layer == layer.name]:
            new_name = graph.unused_name(f"{layer.name}_activation")
            config = {"name": new_name, "activation": layer.config["config"]["activation"]}
            known = layer.attributes.get("activation_kind") or function_kind(name, graph.framework)
            kind, attributes = known or (OTHER, unknown_activation(config))
            made = Layer(new_name, kind, config={"config": config}, attributes=attributes)
            graph = graph.insert_after(call.outputs[0], made)
        config = {**layer.config["config"], "activation": "linear"}
        attributes = {**layer.attributes, "activation": "linear", "activation_kind": None}
        changed = dataclasses.replace(layer, config={**layer.config, "config": config}, attributes=attributes)
        graph = graph.replace_layers({layer.name: changed})
    return graph
