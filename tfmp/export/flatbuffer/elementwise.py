"""Operators on values: addition and softmax."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.export.flatbuffer.tensor_table import TensorTable
from tfmp.types.integer_graph import Grid, IntegerOperation

SOFTMAX_GRID = Grid(1 / 256, 0, 255)
# XNNPACK adds tensors whose scale is this many times the sum's and leaves others to a kernel that rounds twice.
_SMALLEST_RATIO, _LARGEST_RATIO = 2.0**-10, 2.0**8


def write_add(table: TensorTable, operation: IntegerOperation) -> None:
    """ADD of two tensors of one shape."""
    if len(operation.inputs) != 2 or len({table.shape(name) for name in operation.inputs}) != 1:
        shapes = [table.shape(name) for name in operation.inputs]
        raise ValueError(f"`add` takes two inputs of one shape. Received: {shapes} at operation {operation.name!r}.")
    scale = np.float32(table.grid(operation.output).scale)
    ratios = [np.float32(table.grid(name).scale) / scale for name in operation.inputs]
    if not all(_SMALLEST_RATIO <= ratio < _LARGEST_RATIO for ratio in ratios):
        raise ValueError(
            "The input scales of `add` must be from 2**-10 to below 256 times the output scale. Received: "
            f"{ratios[0]} and {ratios[1]} times at operation {operation.name!r}. Requantize the input that is far off."
        )
    inputs = [table.index(name) for name in operation.inputs]
    table.add_operator(operation, "ADD", inputs, version=2, options=schema.AddOptionsT())


def write_softmax(table: TensorTable, operation: IntegerOperation) -> None:
    """SOFTMAX over the last axis."""
    grid = table.grid(operation.output)
    if grid != SOFTMAX_GRID:
        raise ValueError(f"`softmax` writes {SOFTMAX_GRID}. Received: {grid} at operation {operation.name!r}.")
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    inputs = [table.index(operation.inputs[0])]
    reach = (grid.low, grid.high)
    table.add_operator(operation, "SOFTMAX", inputs, version=2, options=options, reach=reach, keeps_zero_point=True)
