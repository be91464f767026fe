"""Describes an architecture independently of names."""

import collections
from collections.abc import Mapping
from typing import Any

from tfmp.files.run_identity import described, digest
from tfmp.graph.graph import Graph
from tfmp.graph.references import TensorRef, map_references

_IN_LAYERS = {"trainable", "batch_shape", "batch_input_shape"}  # keys of the configuration of a layer


def graph_identity(graph: Graph) -> dict[str, Any]:
    """Returns JSON of a network's layers and connections.

    Layers are identified by kind and number, not by name, because Keras gives new names to a model that is built again
    in the same process. Initial values of weights are not included.

    Args:
        graph: The network; its weights are not needed.
    """
    counts: collections.Counter[str] = collections.Counter()
    numbers: dict[str, int] = {}
    layers = {}
    for layer in graph.in_order():
        counts[layer.kind] += 1
        numbers[layer.name] = len(numbers)
        name = layer.kind if counts[layer.kind] == 1 else f"{layer.kind} {counts[layer.kind]}"
        layers[name] = {"class": described(layer.origin.layer_class), **compared_settings(layer.origin.config)}
    tensors = {name: f"input {index}" for index, name in enumerate(graph.input_names)}
    calls = []
    for call in graph.calls:
        for output in call.outputs:
            tensors.setdefault(output, f"tensor {len(tensors)}")
        arguments = map_references((call.args, dict(call.kwargs)), lambda tensor: TensorRef(tensors[tensor.name]))
        calls.append([numbers[call.layer], arguments, [tensors[output] for output in call.outputs]])
    return {"layers": layers, "connections": digest([calls, [tensors[name] for name in graph.output_names]])}


def compared_settings(config: Any) -> Any:
    """Returns the configuration of a layer, and of layers inside it, without names, initializers and code.

    An identity that version 0.1.0 recorded may have more settings; they are removed in the same way.
    """
    if isinstance(config, list | tuple):
        return [compared_settings(each) for each in config]
    if not isinstance(config, Mapping):
        return described(config)
    if config.get("class_name") == "__lambda__":  # the serialized code differs between processes
        return "lambda"
    omitted = {"build_config", "name"} if _IN_LAYERS & config.keys() else {"build_config"}
    if config.get("relaxation", "gumbel") != "gumbel":
        omitted.add("seed")  # nothing is drawn, and layers of nested models have one that follows from their names
    return {
        str(key): compared_settings(value)
        for key, value in config.items()
        if key not in omitted and not str(key).endswith("_initializer")
    }
