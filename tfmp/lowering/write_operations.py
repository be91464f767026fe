"""Writes an integer network to a sink."""

from collections.abc import Callable

from tfmp.checks import check_choice, check_integer
from tfmp.graph.integer_graph import IntegerGraph, IntegerOperation
from tfmp.graph.open_values import FLOAT_GRID
from tfmp.graph.runtime_limits import LARGEST_RANK, UINT8_OFFSET
from tfmp.graph.targets import LITERT, Target
from tfmp.operators import OPERATIONS
from tfmp.operators.writing import Quantization, Sink, TensorTable
from tfmp.operators.writing.tensor_table import CODE_TYPES

_NUMBER_TYPES = ("float32", *CODE_TYPES)


def write_operations(
    graph: IntegerGraph,
    sink: Sink,
    *,
    batch_size: int = 1,
    input_type: str = "float32",
    output_type: str = "float32",
    target: Target = LITERT,
    otherwise: Callable[[TensorTable, IntegerOperation], None] | None = None,
) -> tuple[dict[str, int], dict[str, int]]:
    """Writes every operation of a network.

    Args:
        graph: The network.
        sink: Receives tensors, constants and operators.
        batch_size: The fixed size of the first axis.
        input_type: `"float32"`, or `"int8"` or `"uint8"` to take codes. Integer and Boolean inputs keep their type.
        output_type: The same for outputs.
        target: The runtime of the file.
        otherwise: Writes an operation that INT8 does not support; None to raise an error.

    Returns:
        The indices in the sink of the inputs, by their names in the graph, and of the outputs, by output name.

    Raises:
        ValueError: If an operation cannot be computed exactly on INT8, or not by the target; the message names it and
            the way out.
    """
    batch_size = check_integer("batch_size", batch_size, at_least=1)
    for argument, value in (("input_type", input_type), ("output_type", output_type)):
        check_choice(argument, value, _NUMBER_TYPES)
    table = TensorTable(graph, sink, batch_size, input_type=input_type, output_type=output_type, target=target)
    for operation in graph.operations:
        if operation.kind in OPERATIONS:
            _check_rank(graph, operation)
            OPERATIONS[operation.kind].check_target(target, operation, graph)
    inputs = {name: _add_input(table, name) for name in graph.inputs}
    for operation in graph.operations:
        missing = [name for name in operation.inputs if name not in table]
        if missing:
            raise ValueError(
                f"Operations must follow those whose outputs they read. Received: {operation.name!r}, which reads "
                f"{sorted(missing)}. Sort the operations of graph {graph.name!r}."
            )
        try:
            check_choice("kind", operation.kind, OPERATIONS, where=f"Operation `{operation.name}`")
            OPERATIONS[operation.kind].write(table, operation)
        except ValueError:
            if otherwise is None:
                raise
            otherwise(table, operation)
    named = zip(graph.output_names, graph.outputs, strict=True)
    return inputs, {output_name: table.index(name) for output_name, name in named}


def _check_rank(graph: IntegerGraph, operation: IntegerOperation) -> None:
    """Raises `ValueError` for codes with more axes than the runtimes compute with."""
    tensors = [graph.tensors[name] for name in (*operation.inputs, *operation.outputs)]
    rank = max((len(tensor.shape) for tensor in tensors if tensor.grid not in (None, FLOAT_GRID)), default=0)
    if rank > LARGEST_RANK:
        raise ValueError(
            f"Expected tensors of at most {LARGEST_RANK} axes, the batch included. Received: {rank} at layer "
            f"`{operation.layer or operation.name}`. Reshape them to fewer."
        )


def _add_input(table: TensorTable, name: str) -> int:
    """Adds an input of the graph, as numbers or as codes. Returns its index.

    8-bit integers are used as codes; the table has the type of inputs in floating point.
    """
    input_type, dtype = table.graph.tensors[name].dtype, table.input_type
    if input_type in CODE_TYPES:
        index = table.sink.tensor(name, table.shape(name), dtype=input_type, quantization=Quantization((1.0,)))
        table.alias(name, index)
        return index
    if dtype == "float32" or input_type != "float32":
        return table.index(name)
    readers = [operation for operation in table.graph.operations if name in operation.inputs]
    numbers = [operation.layer or operation.name for operation in readers if operation.kind != "quantize"]
    grids = {table.grid(operation.output) for operation in readers if operation.kind == "quantize"}
    if len(grids) != 1 or numbers:
        read = f"{len(grids)} grids" if not numbers else f"`{numbers[0]}`, which reads its numbers,"
        raise ValueError(
            f"An input of type {dtype} needs one grid for all its readers. Received: {read} at input {name!r}. Use "
            "`input_type='float32'`."
        )
    zero_point = grids.pop().zero_point + (UINT8_OFFSET if dtype == "uint8" else 0)
    index = table.integers(name, readers[0].output, zero_point=zero_point, dtype=dtype)
    table.alias(name, index)
    return index
