"""Finds which calls of a flat graph belong to which call (use) of a nested model."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Graph, Layer, TensorRef, map_references

_FREE = ("name", "signed")  # fields in which inserted layers of two uses of one model may differ


def local_name(graph: Graph, name: str) -> str:
    """Returns the name of a layer or nested model inside the model that contains it."""
    models = [submodel.name for submodel in graph.submodels.values() if name.startswith(f"{submodel.name}/")]
    return name.removeprefix(f"{max(models, key=len)}/") if models else name


def uses_around(graph: Graph, within: str) -> Iterator[str]:
    """Yields a use of a nested model and the uses that contain it, innermost first."""
    while within:
        yield within
        within = graph.submodels[within].within


def calls_inside(graph: Graph, use: str) -> list[Call]:
    """Returns the calls inside a use of a nested model, at any depth, in order."""
    return [call for call in graph.calls if use in uses_around(graph, call.within)]


def border(graph: Graph, use: str) -> tuple[Any, Any]:
    """Returns `(inputs, outputs)` of a use: structures of references to the tensors that cross its border.

    They have the structures of the user's model if these contain all such tensors; otherwise they are lists.
    """
    submodel, inside = graph.submodels[use], calls_inside(graph, use)
    produced = {name for call in inside for name in call.outputs}
    read = {name: None for call in inside for name in call.inputs if name not in produced}
    outside = [call for call in graph.calls if use not in uses_around(graph, call.within)]
    wanted = {name for call in outside for name in call.inputs} | set(graph.output_names)
    given = [name for call in inside for name in call.outputs if name in wanted]
    inputs, outputs = submodel.inputs, submodel.outputs
    if not (set(read) <= set(names_in(inputs)) <= set(graph.tensors)):
        inputs = [TensorRef(name) for name in read]
    if not (set(given) <= set(names_in(outputs)) <= produced | set(names_in(inputs))):
        outputs = [TensorRef(name) for name in given]
    return inputs, outputs


def names_in(structure: Any) -> list[str]:
    """Returns the names of the tensors in a structure of references."""
    names: list[str] = []
    map_references(structure, lambda reference: names.append(reference.name))
    return names


def are_alike(graph: Graph, first: str, other: str) -> bool:
    """Returns True if two uses call the same layers in the same way, so that one model can serve both."""
    borders = [border(graph, use) for use in (first, other)]
    same = dict(zip(*(names_in(inputs) for inputs, _ in reversed(borders)), strict=False))
    first_calls, other_calls = calls_inside(graph, first), calls_inside(graph, other)
    if len(first_calls) != len(other_calls) or any(
        len(names_in(a)) != len(names_in(b)) for a, b in zip(*borders, strict=True)
    ):
        return False
    for one, two in zip(first_calls, other_calls, strict=True):
        arguments = map_references((two.args, dict(two.kwargs)), lambda ref: TensorRef(same.get(ref.name, ref.name)))
        if one.layer != two.layer or not _equal((one.args, dict(one.kwargs)), arguments):
            return False
        same.update(zip(two.outputs, one.outputs, strict=True))
    return [same.get(name, name) for name in names_in(borders[1][1])] == names_in(borders[0][1])


def with_equal_uses(graph: Graph) -> Graph:
    """Merges the layers that transforms inserted at the same place in several uses of one model.

    A quantizer that only one use needs is inserted in all of them, so that they remain one model.
    """
    uses: dict[str, list[str]] = {}
    for use, submodel in graph.submodels.items():
        uses.setdefault(submodel.name, []).append(use)
    for first, *others in uses.values():
        for other in others * 2:  # twice: a later use may have a layer that an earlier one lacks
            graph = _aligned(graph, first, other)
    return graph


def _aligned(graph, first, other):
    position, same = 0, {}
    while True:
        first_calls, other_calls = calls_inside(graph, first), calls_inside(graph, other)
        if position >= max(len(first_calls), len(other_calls)):
            return graph
        one, two = (calls[position] if position < len(calls) else None for calls in (first_calls, other_calls))
        at_same_place = one and two and all(same.get(a, b) == b for a, b in zip(one.inputs, two.inputs, strict=False))
        merged = _merged(graph, one.layer, two.layer) if at_same_place else None
        if merged is not None:
            graph = _with_layer(graph, two, merged)
            same.update(zip(one.outputs, two.outputs, strict=True))
            position += 1
        elif one is not None and graph.layer_of(one).kind == "quantize" and one.inputs[0] in same:
            graph = graph.insert_after(same[one.inputs[0]], graph.layer_of(one))
        elif two is not None and graph.layer_of(two).kind == "quantize":
            back = {tensor_of_other: tensor_of_first for tensor_of_first, tensor_of_other in same.items()}
            if two.inputs[0] not in back:
                return graph
            graph = graph.insert_after(back[two.inputs[0]], graph.layer_of(two))
        else:
            return graph  # transforms changed the uses in different ways: they become two models


def _merged(graph, name, other) -> Layer | None:
    """Returns one layer for both, or None if they differ in more than their names."""
    one, two = graph.layers[name], graph.layers[other]
    if name == other:
        return one
    configs = [layer.origin.config for layer in (one, two)]
    plain = [{key: value for key, value in config.items() if key not in _FREE} for config in configs]
    if one.kind != two.kind or not _equal(*plain) or not _equal(one.arrays(), two.arrays()):
        return None
    signed = two if two.activation.signed and configs[1].get("signed") else one
    origin = signed.origin.replace_config(name=configs[0].get("name", name))
    return dataclasses.replace(signed, name=name, origin=origin)


def _with_layer(graph, call, layer):
    """Returns the graph with a call of another layer."""
    if call.layer == layer.name and graph.layers[layer.name] is layer:
        return graph
    calls = tuple(dataclasses.replace(c, layer=layer.name) if c is call else c for c in graph.calls)
    layers = {**graph.layers, layer.name: layer}
    if not any(c.layer == call.layer for c in calls):
        del layers[call.layer]
    return dataclasses.replace(graph, calls=calls, layers=layers)


def _equal(one, other) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
    return one is other or bool(one == other)
