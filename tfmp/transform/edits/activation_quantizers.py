"""Inserts quantizers for the tensors that an integer network stores."""

import dataclasses

from tfmp.graph import Candidates, CodeFormat, Graph, Layer, LayerOrigin
from tfmp.operators import MOVES, NUMBERS, STORED
from tfmp.operators.affine_chain import affine_chain, is_affine
from tfmp.operators.float_layer import lowering_operator
from tfmp.operators.operator_table import non_negative_tensors

STORAGE_BITS = 8


def with_stored_tensors(graph: Graph) -> Graph:
    """Inserts an 8-bit quantizer after every tensor that the integer network must store and no layer quantizes.

    A tensor whose only reader quantizes its input is stored on that reader's grid, through any pooling, padding or
    reshaping between them. Outputs, tensors with several readers, and inputs of additions, averages and activations
    get a layer `<producer>_quantizer`. Low-bit readers then requantize from it, in training as in the file.

    Integer and Boolean tensors are not quantized, nor are numbers that pass from one comparison, cast or layer in
    floating point to another, nor outputs of the model that such a layer computes.
    Wider integers that are read as floating point get a quantizer, too.
    """
    on_grid: set[str] = set()
    inserted: dict[str, Layer] = {}  # by tensor, all at once: each insertion copies the graph
    names: set[str] = set()
    non_negative = non_negative_tensors(graph)  # quantizers do not change it
    for call in graph.calls:
        for tensor in call.outputs:
            layer = graph.layer_of(call)
            operator = lowering_operator(layer)
            moves = operator.reads == MOVES and not operator.joins
            if (
                layer.kind == "quantize"
                or operator.grid is not None
                or (layer.kind == "input" and graph.tensors[tensor].grid is not None)
                or (moves and call.inputs[0] in on_grid)
            ):
                on_grid.add(tensor)
            elif _needs_storage(graph, tensor):
                name = graph.unused_name(f"{layer.name}_quantizer", names)
                names.add(name)
                inserted[tensor] = quantize_layer(name, signed=tensor not in non_negative)
                on_grid.add(tensor)
    return _with_float_outputs(graph.insert_layers(inserted), names)


def _with_float_outputs(graph, names):
    """Returns the graph with floating-point outputs of quantizers, whatever the types of their inputs."""
    changed = {
        name: dataclasses.replace(graph.tensors[name], dtype="float32")
        for name in names
        if not graph.tensors[name].is_float
    }
    return dataclasses.replace(graph, tensors={**graph.tensors, **changed}) if changed else graph


def quantize_layer(name: str, *, signed: bool, bits: int = STORAGE_BITS) -> Layer:
    """Returns the `Quantize` layer that stores a tensor."""
    return Layer(
        name,
        "quantize",
        origin=LayerOrigin(config={"name": name, "bits": bits, "signed": signed}),
        activation=Candidates(
            (CodeFormat(bits, 0, 2**bits - 1),), quantizer="moving_range", signed=signed, range_of_tensor=True
        ),
    )


def _needs_storage(graph, tensor):
    readers = graph.readers(tensor)
    operators = [lowering_operator(graph.layer_of(reader)) for reader in readers]
    if not graph.tensors[tensor].is_float:
        makes_floats = all(graph.tensors[name].is_float for reader in readers for name in reader.outputs)
        return bool(readers) and makes_floats and all(operator.reads == STORED for operator in operators)
    if lowering_operator(graph.layer_of(graph.producer(tensor))).numbers is not None:
        is_given_back = tensor in graph.output_names and not graph.producer(tensor).inputs
        if not is_given_back and all(operator.reads == NUMBERS for operator in operators):
            return False
    if len(readers) != 1 or tensor in graph.output_names:
        return True
    reader = graph.layer_of(readers[0])
    operator = lowering_operator(reader)
    if operator.reads == MOVES or reader.kind == "quantize":
        return False
    if operator.reads == NUMBERS:
        return True
    if operator.reads == STORED:
        chain = affine_chain(graph, readers[0]) if is_affine(graph, readers[0]) else None
        return chain is None or (chain.source == tensor and chain.product is None)
    return reader.activation.formats[0].is_float
