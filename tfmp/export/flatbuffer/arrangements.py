"""Operators that move codes without changing them: padding, reshaping and concatenation."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.export.flatbuffer.tensor_table import TensorTable
from tfmp.types.integer_graph import IntegerOperation


def write_pad(table: TensorTable, operation: IntegerOperation) -> None:
    """PAD with code 0 above, below, left and right."""
    rows = [(0, 0), *operation.attributes["paddings"], (0, 0)]
    rank = len(table.shape(operation.inputs[0]))
    if len(rows) != rank:
        raise ValueError(
            f"`paddings` must hold one pair for each of the {rank - 2} middle axes. Received: "
            f"{operation.attributes['paddings']} at operation {operation.name!r}."
        )
    paddings = table.builder.constant(f"{operation.name}/paddings", np.array(rows, np.int32))
    _add(table, operation, "PAD", [table.index(operation.inputs[0]), paddings], 2, schema.PadOptionsT())


def write_reshape(table: TensorTable, operation: IntegerOperation) -> None:
    """RESHAPE to the shape of the output."""
    shape = table.shape(operation.output)
    source = table.shape(operation.inputs[0])
    if np.prod(shape) != np.prod(source):
        raise ValueError(f"Cannot reshape {source} to {shape}. Received at operation {operation.name!r}.")
    options = schema.ReshapeOptionsT()
    options.newShape = np.array(shape, np.int32)
    constant = table.builder.constant(f"{operation.name}/shape", options.newShape)
    _add(table, operation, "RESHAPE", [table.index(operation.inputs[0]), constant], 1, options)


def write_concatenate(table: TensorTable, operation: IntegerOperation) -> None:
    """CONCATENATION of tensors that share the output's scale and zero point."""
    options = schema.ConcatenationOptionsT()
    options.axis = operation.attributes.get("axis", -1) % len(table.shape(operation.output))
    _add(table, operation, "CONCATENATION", [table.index(name) for name in operation.inputs], 2, options)


def _add(table, operation, kind, inputs, version, options):
    table.same_grid(operation)
    grids = [table.grid(name) for name in operation.inputs]
    reach = min(grid.low for grid in grids), max(grid.high for grid in grids)
    table.add_operator(operation, kind, inputs, version=version, options=options, reach=reach, keeps_zero_point=True)
