"""Operators on numbers instead of codes: indices, comparisons and casts."""

from collections.abc import Sequence

import numpy as np

from tfmp.graph.integer_graph import COMPARISONS, IntegerOperation
from tfmp.graph.runtime_limits import INDEX_TYPES
from tfmp.lowering.writing.sink import TENSOR_TYPES, Options
from tfmp.lowering.writing.tensor_table import TensorTable


def write_index(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes ARG_MAX or ARG_MIN; the first of equal numbers counts."""
    output, axis = table.graph.tensors[operation.output], operation.attributes["axis"]
    if output.dtype not in INDEX_TYPES:
        raise ValueError(
            f"`{operation.kind}` writes {' or '.join(INDEX_TYPES)}. Received: {output.dtype} at operation "
            f"{operation.name!r}. Cast its output."
        )
    kind = operation.kind.upper()
    options = Options("ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions", {"output_type": output.dtype})
    axes = table.sink.constant(f"{operation.name}/axis", np.array([axis], np.int32))
    inputs = [table.index(operation.inputs[0]), axes]
    if not operation.attributes["keepdims"]:
        _add(table, operation, kind, inputs, options)
        return
    shape = table.shape(operation.output)
    reduced = table.sink.tensor(f"{operation.name}/index", (*shape[:axis], *shape[axis + 1 :]), dtype=output.dtype)
    table.sink.operator(kind, inputs, [reduced], version=1, options=options)
    sizes = table.sink.constant(f"{operation.name}/shape", np.array(shape, np.int32))
    _add(table, operation, "RESHAPE", [reduced, sizes], Options("ReshapeOptions", {"new_shape": shape}))


def write_comparison(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, EQUAL or NOT_EQUAL."""
    inputs = [table.index(name) for name in operation.inputs]
    if "operand" in operation.attributes:
        dtype = table.graph.tensors[operation.inputs[0]].dtype
        values = np.asarray(operation.attributes["operand"], dtype)
        operand = table.sink.constant(f"{operation.name}/operand", values)
        inputs = [operand, *inputs] if operation.attributes["operand_first"] else [*inputs, operand]
    kind = operation.kind.upper()
    _add(table, operation, kind, inputs, _plain_options(operation))


def write_logical(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes LOGICAL_AND, LOGICAL_OR or LOGICAL_NOT."""
    inputs = [table.index(name) for name in operation.inputs]
    _add(table, operation, operation.kind.upper(), inputs, _plain_options(operation))


def write_cast(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes CAST."""
    types = [_known_type(table, name, operation) for name in (operation.inputs[0], operation.output)]
    options = Options("CastOptions", dict(zip(("in_data_type", "out_data_type"), types, strict=True)))
    _add(table, operation, "CAST", [table.index(operation.inputs[0])], options)


def _plain_options(operation: IntegerOperation) -> Options:
    """Returns the options of a kind, a table without fields."""
    return Options(f"{operation.kind.title().replace('_', '')}Options")


def _known_type(table: TensorTable, name: str, operation: IntegerOperation) -> str:
    dtype = table.graph.tensors[name].dtype
    if dtype not in TENSOR_TYPES:
        raise ValueError(
            f"A file holds numbers of {', '.join(TENSOR_TYPES)}. Received: {dtype} at operation {operation.name!r}. "
            'Choose one of these; or export with `mode="float"`.'
        )
    return dtype


def _add(table: TensorTable, operation: IntegerOperation, kind: str, inputs: Sequence[int], options: Options) -> None:
    table.sink.operator(kind, inputs, [table.index(operation.output)], version=1, options=options)


WRITERS = {
    "cast": write_cast,
    **dict.fromkeys(("arg_max", "arg_min"), write_index),
    **dict.fromkeys(COMPARISONS, write_comparison),
    **dict.fromkeys(("logical_and", "logical_or", "logical_not"), write_logical),
}
