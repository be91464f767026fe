"""Operators on numbers that are no codes: indices, comparisons and casts."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.runtime_limits import INDEX_TYPES
from tfmp.tflite.writer.model_builder import TYPE_CODES
from tfmp.tflite.writer.tensor_table import TensorTable


def write_index(table: TensorTable, operation: IntegerOperation) -> None:
    """ARG_MAX or ARG_MIN; the first of equal numbers counts."""
    output, axis = table.graph.tensors[operation.output], operation.attributes["axis"]
    if output.dtype not in INDEX_TYPES:
        raise ValueError(
            f"`{operation.kind}` writes {' or '.join(INDEX_TYPES)}. Received: {output.dtype} at operation "
            f"{operation.name!r}. Cast its output."
        )
    kind = operation.kind.upper()
    options = schema.ArgMaxOptionsT() if kind == "ARG_MAX" else schema.ArgMinOptionsT()
    options.outputType = TYPE_CODES[output.dtype]
    axes = table.builder.constant(f"{operation.name}/axis", np.array([axis], np.int32))
    inputs = [table.index(operation.inputs[0]), axes]
    if not operation.attributes["keepdims"]:
        _add(table, operation, kind, inputs, options)
        return
    shape = table.shape(operation.output)
    reduced = table.builder.tensor(f"{operation.name}/index", (*shape[:axis], *shape[axis + 1 :]), dtype=output.dtype)
    table.builder.operator(kind, inputs, [reduced], version=1, options=options)
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = np.array(shape, np.int32)
    _add(
        table,
        operation,
        "RESHAPE",
        [reduced, table.builder.constant(f"{operation.name}/shape", reshape.newShape)],
        reshape,
    )


def write_comparison(table: TensorTable, operation: IntegerOperation) -> None:
    """GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, EQUAL or NOT_EQUAL."""
    inputs = [table.index(name) for name in operation.inputs]
    if "operand" in operation.attributes:
        dtype = table.graph.tensors[operation.inputs[0]].dtype
        values = np.asarray(operation.attributes["operand"], dtype)
        operand = table.builder.constant(f"{operation.name}/operand", values)
        inputs = [operand, *inputs] if operation.attributes["operand_first"] else [*inputs, operand]
    kind = operation.kind.upper()
    name = {"EQUAL": "EqualOptionsT", "NOT_EQUAL": "NotEqualOptionsT"}.get(
        kind, f"{operation.kind.title().replace('_', '')}OptionsT"
    )
    _add(table, operation, kind, inputs, getattr(schema, name)())


def write_logical(table: TensorTable, operation: IntegerOperation) -> None:
    """LOGICAL_AND, LOGICAL_OR or LOGICAL_NOT."""
    options = getattr(schema, f"{operation.kind.title().replace('_', '')}OptionsT")()
    _add(table, operation, operation.kind.upper(), [table.index(name) for name in operation.inputs], options)


def write_cast(table: TensorTable, operation: IntegerOperation) -> None:
    """CAST."""
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = (
        TYPE_CODES[_known_type(table, name, operation)] for name in (operation.inputs[0], operation.output)
    )
    _add(table, operation, "CAST", [table.index(operation.inputs[0])], options)


def _known_type(table, name, operation):
    dtype = table.graph.tensors[name].dtype
    if dtype not in TYPE_CODES:
        raise ValueError(
            f"A file holds numbers of {', '.join(TYPE_CODES)}. Received: {dtype} at operation {operation.name!r}. "
            'Choose one of these; or export with `mode="float"`.'
        )
    return dtype


def _add(table, operation, kind, inputs, options):
    table.builder.operator(kind, inputs, [table.index(operation.output)], version=1, options=options)
