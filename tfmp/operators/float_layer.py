"""Layers without an integer form: they run in floating point, between DEQUANTIZE and QUANTIZE.

- float_layer: what the layer computes, on numbers; `graph` and `call`: the call of the layer; `network`: a function of
  the batch size that returns its `tfmp.graph.float_network.FloatNetwork`.

The operators are those that TensorFlow's converter writes for the layer alone, with large weights rounded to 8 bits,
each stored as codes before a DEQUANTIZE. Layers that follow each other exchange numbers, without QUANTIZE in between.
Their results equal those of Keras to 1e-5 of the largest number of a tensor.
"""

import functools

from tfmp.graph import Call, Graph, Layer
from tfmp.graph.float_network import NO_TENSOR
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import is_open
from tfmp.operators.fold_error import FoldError, no_integer_form
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import NUMBERS, OTHER, Operator
from tfmp.operators.operator_table import operator_of
from tfmp.operators.writing import Options, Quantization, TensorTable
from tfmp.operators.writing.sink import TENSOR_TYPES

KIND = "float_layer"
HALF_TYPES = ("float16", "bfloat16")  # computed in float32 in a file


def numbers_of_float_layer(lowering: LoweringContext, call: Call) -> tuple[str, ...]:
    """Adds a call of a layer in floating point; returns the names of the tensors with its outputs."""
    graph, layer = lowering.graph, lowering.graph.layer_of(call)
    for tensor in (*call.inputs, *call.outputs):
        if number_type(graph.tensors[tensor].dtype) not in TENSOR_TYPES:
            raise FoldError(
                layer.name,
                f"it reads or computes {graph.tensors[tensor].dtype}, which a file does not hold",
                f"Use one of {', '.join(TENSOR_TYPES)}, or omit the layer from the model that is exported.",
            )
    sources = [lowering.numbers(tensor) for tensor in dict.fromkeys(call.inputs)]
    outputs = [(lowering.shape(name), number_type(graph.tensors[name].dtype)) for name in call.outputs]
    network = functools.partial(lowering.values.float_network, graph, call)
    network(1)  # raises an error for a layer that has no operators
    attributes = {"graph": graph, "call": call, "network": network}
    return lowering.builder.add_numbers(KIND, sources, layer.name, outputs, attributes=attributes, layer=layer.name)


def number_type(dtype: str) -> str:
    """Returns the type of the numbers of a tensor in a file."""
    return "float32" if dtype in HALF_TYPES else dtype


def write_float_layer(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes the operators of a layer in floating point."""
    for name in operation.outputs:
        if name in table.graph.outputs and table.graph.tensors[name].dtype == "float32" != table.output_type:
            raise ValueError(
                f"Layer `{operation.layer}` computes an output of the model in floating point, which has no codes. "
                f"Received: output_type={table.output_type!r}. Use `output_type='float32'`."
            )
    network = operation.attributes["network"](table.batch_size)
    places = {NO_TENSOR: NO_TENSOR, **dict(zip(network.inputs, map(table.index, operation.inputs), strict=True))}
    for number, tensor in enumerate(network.tensors):
        if tensor.values is not None:
            scales = tensor.scales if tensor.scales is None or is_open(tensor.scales) else tuple(tensor.scales.tolist())
            quantization = None if scales is None else Quantization(scales, axis=tensor.axis)
            name = f"{operation.name}/{number}"
            places[number] = table.sink.constant(name, tensor.values, quantization=quantization)
    for number, name in zip(network.outputs, operation.outputs, strict=True):
        if number in places:
            table.alias(name, places[number])
        else:
            places[number] = table.index(name)
    for number, tensor in enumerate(network.tensors):
        if number not in places:
            places[number] = table.sink.tensor("", tensor.shape, dtype=tensor.dtype)
    for each in network.operators:
        inputs, outputs = ([places[number] for number in numbers] for numbers in (each.inputs, each.outputs))
        options = Options(each.options, each.fields) if each.options else None
        table.sink.operator(each.kind, inputs, outputs, version=each.version, options=options)


FLOAT_LAYER = Operator(KIND, reads=NUMBERS, numbers=numbers_of_float_layer)


def lowering_operator(layer: Layer) -> Operator:
    """Returns the operator that lowers a layer: that of its kind, or `FLOAT_LAYER` if its kind has no integer form."""
    return operator_of(layer) or FLOAT_LAYER


def float_layers(graph: Graph) -> list[str]:
    """Returns the names of the layers of a quantized network that run in floating point, in order."""
    return [layer.name for layer in graph.in_order() if lowering_operator(layer) is FLOAT_LAYER]


def float_reasons(graph: Graph) -> dict[str, FoldError]:
    """Returns why layers of a quantized network run in floating point, by the name of the layer.

    The error of an activation that was split from a layer names this layer.
    """
    calls = {name: graph.calls_of(name)[0] for name in float_layers(graph)}
    return {name: no_integer_form(graph.layers[name], users_layer(graph, call)) for name, call in calls.items()}


def users_layer(graph: Graph, call: Call) -> str:
    """Returns the name of the user's layer that an activation was split from, or that of the layer itself."""
    source = graph.producer(call.inputs[0]) if call.inputs else None
    while source is not None and graph.layer_of(source).kind == "quantize":  # stores what the activation reads
        source = graph.producer(source.inputs[0])
    is_part = source is not None and call.layer.startswith(f"{source.layer}_activation")
    return source.layer if source is not None and is_part and graph.layer_of(call).kind == OTHER else call.layer


OPERATORS = ()
OPERATIONS = (
    OperationKind(KIND, write_float_layer, lacks={"micro": "has no integer form and runs in floating point"}),
)
