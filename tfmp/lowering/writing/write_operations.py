"""Writes an integer network to a sink."""

from collections.abc import Callable

from tfmp.checks import check_choice, check_integer
from tfmp.graph.integer_graph import IntegerGraph, IntegerOperation
from tfmp.lowering.writing import (
    activations,
    convolutions,
    data_movement,
    elementwise,
    numbers,
    pooling,
    quantize_dequantize,
)
from tfmp.lowering.writing.sink import Sink
from tfmp.lowering.writing.tensor_table import TensorTable

_WRITERS = {
    **convolutions.WRITERS,
    **elementwise.WRITERS,
    **activations.WRITERS,
    **pooling.WRITERS,
    **data_movement.WRITERS,
    **numbers.WRITERS,
}


def write_operations(
    graph: IntegerGraph,
    sink: Sink,
    *,
    batch_size: int = 1,
    input_type: str = "float32",
    output_type: str = "float32",
    otherwise: Callable[[TensorTable, IntegerOperation], None] | None = None,
) -> tuple[dict[str, int], dict[str, int]]:
    """Writes every operation of a network.

    Args:
        graph: The network.
        sink: Receives tensors, constants and operators.
        batch_size: The fixed size of the first axis.
        input_type: `"float32"`, or `"int8"` or `"uint8"` to take codes. Integer and Boolean inputs keep their type.
        output_type: The same for outputs.
        otherwise: Writes an operation that INT8 does not support; None to raise an error.

    Returns:
        The indices in the sink of the inputs, by their names in the graph, and of the outputs, by output name.

    Raises:
        ValueError: If an operation cannot be computed exactly on INT8; the message names it and the way out.
    """
    batch_size = check_integer("batch_size", batch_size, at_least=1)
    for argument, value in (("input_type", input_type), ("output_type", output_type)):
        check_choice(argument, value, quantize_dequantize.NUMBER_TYPES)
    table = TensorTable(graph, sink, batch_size)
    inputs = {name: quantize_dequantize.add_input(table, name, input_type) for name in graph.inputs}
    for operation in graph.operations:
        missing = [name for name in operation.inputs if name not in table]
        if missing:
            raise ValueError(
                f"Operations must follow those whose outputs they read. Received: {operation.name!r}, which reads "
                f"{sorted(missing)}. Sort the operations of graph {graph.name!r}."
            )
        try:
            if operation.kind == "quantize":
                given = input_type if operation.inputs[0] in inputs else "float32"
                quantize_dequantize.write_quantize(table, operation, given)
            elif operation.kind == "dequantize":
                wanted = output_type if operation.output in graph.outputs else "float32"
                quantize_dequantize.write_dequantize(table, operation, wanted)
            else:
                check_choice("kind", operation.kind, _WRITERS, where=f"Operation `{operation.name}`")
                _WRITERS[operation.kind](table, operation)
        except ValueError:
            if otherwise is None:
                raise
            otherwise(table, operation)
    named = zip(graph.output_names, graph.outputs, strict=True)
    return inputs, {output_name: table.index(name) for output_name, name in named}
