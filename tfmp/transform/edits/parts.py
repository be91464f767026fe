"""Splits composite layers into their parts."""

import dataclasses
from collections.abc import Sequence

from tfmp.bindings.layer_kinds import has_kernel, layer_shape
from tfmp.graph import Call, Graph, Layer, LayerOrigin, Tensor, TensorRef
from tfmp.operators import TABLE
from tfmp.operators.composites.part import Part


def with_parts(graph: Graph) -> Graph:
    """Splits each composite layer, a separable convolution or attention for example, into simpler layers.

    Which layers are composite, and what they are made of, is in `tfmp.operators.composites`.
    """
    for layer in list(graph.in_order()):
        parts = _parts(graph, layer)
        if parts:
            graph = _expanded(graph, layer, parts)
    return graph


def _parts(graph: Graph, layer: Layer) -> list[Sequence[Part]]:
    """Returns the parts of each call of a layer; none if it is not split."""
    operator = TABLE.get(layer.kind)
    if operator is None or operator.parts is None or layer.shared:
        return []
    of_calls = [operator.parts(graph, layer, call) for call in graph.calls_of(layer.name)]
    alike = len({repr([(part.suffix, part.kind, part.config) for part in parts or ()]) for parts in of_calls}) == 1
    return [parts for parts in of_calls if parts] if alike else []


def _expanded(graph: Graph, layer: Layer, of_calls: Sequence[Sequence[Part]]) -> Graph:
    names = {part.suffix: graph.unused_name(f"{layer.name}_{part.suffix}") for part in of_calls[0] if part.suffix}
    names[""] = layer.name
    pending, calls, tensors = iter(of_calls), [], dict(graph.tensors)
    for call in graph.calls:
        if call.layer != layer.name:
            calls.append(call)
            continue
        *inner, last = next(pending)
        given: dict[int | str, str] = dict(enumerate(call.inputs))
        output = graph.tensors[call.outputs[0]]
        for part in (*inner, last):
            name = output.name if part is last else _tensor_name(graph, layer, call, names[part.suffix])
            tensors[name] = dataclasses.replace(output, name=name, shape=(output.shape[0], *part.shape))
            calls.append(Call(names[part.suffix], _arguments(part, given), {}, (name,), call.within))
            given[part.suffix] = name
    graph = dataclasses.replace(graph, calls=tuple(calls), tensors=tensors)
    made = {names[part.suffix]: part for part in of_calls[0]}
    return graph.replace_layers({name: _layer(graph, layer, name, part) for name, part in made.items()})


def _tensor_name(graph: Graph, layer: Layer, call: Call, name: str) -> str:
    """Returns the name of the output of a part that another part reads."""
    name = graph.unused_name(f"{name}_part") if name == layer.name else name
    return name + call.outputs[0].removeprefix(layer.name)


def _arguments(part: Part, given: dict[int | str, str]) -> tuple[TensorRef | list[TensorRef], ...]:
    references = [TensorRef(given[source]) for source in part.sources]
    return (references[0] if len(references) == 1 else references,)


def _layer(graph: Graph, whole: Layer, name: str, part: Part) -> Layer:
    call = graph.calls_of(name)[0]
    source, output = (graph.tensors[tensor] for tensor in (call.inputs[0], call.outputs[0]))
    layer = Layer(
        name,
        part.kind,
        origin=LayerOrigin(config={**part.config, "name": name}),
        attributes=part.attributes,
        weights=part.weights,
        trainable=whole.trainable,
        num_parameters=part.num_parameters,
    )
    if not has_kernel(part.kind):
        return layer
    shape = layer_shape(
        name,
        part.kind,
        part.attributes,
        source.shape,
        output.shape,
        kernel_shape=part.sizes["kernel"],
        reads_network_input=_is_input(graph, source),
    )
    return dataclasses.replace(layer, shape=shape).with_candidates()


def _is_input(graph: Graph, tensor: Tensor) -> bool:
    producer = graph.layers.get(graph.producer(tensor.name).layer)  # None for a part, which is not in the graph yet
    return producer is not None and producer.kind == "input"
