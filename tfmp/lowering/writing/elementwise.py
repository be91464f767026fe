"""Operators on values: sums and products of two tensors, and softmax."""

import numpy as np

from tfmp.graph.integer_graph import FIXED_GRIDS, IntegerOperation
from tfmp.graph.runtime_limits import PRODUCT_RATIOS, SUM_RATIOS
from tfmp.lowering.writing.sink import UNFUSED, Options
from tfmp.lowering.writing.tensor_table import TensorTable


def write_add(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes ADD of two tensors."""
    _write_sum(table, operation, "ADD", Options("AddOptions", UNFUSED))


def write_subtract(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SUB of two tensors."""
    _write_sum(table, operation, "SUB", Options("SubOptions", UNFUSED))


def write_multiply(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MUL of two tensors."""
    _check_shapes(table, operation)
    first, second, scale = (np.float32(table.grid(name).scale) for name in (*operation.inputs, operation.output))
    factor, (smallest, limit) = first * second / scale, PRODUCT_RATIOS
    if not smallest <= factor < limit:
        raise ValueError(
            f"The product of the input scales of `multiply` must be from {smallest:.3g} to below {limit:.0f} times the "
            f"output scale. Received: {factor} times at operation {operation.name!r}. Requantize an input or choose "
            "another output grid."
        )
    inputs = [table.index(name) for name in operation.inputs]
    table.add_operator(operation, "MUL", inputs, version=2, options=Options("MulOptions", UNFUSED))


def _write_sum(table: TensorTable, operation: IntegerOperation, kind: str, options: Options) -> None:
    _check_shapes(table, operation)
    scale = np.float32(table.grid(operation.output).scale)
    ratios = [np.float32(table.grid(name).scale) / scale for name in operation.inputs]
    smallest, limit = SUM_RATIOS
    if not all(smallest <= ratio < limit for ratio in ratios):
        raise ValueError(
            f"The input scales of `{operation.kind}` must be from {smallest:.3g} to below {limit:.0f} times the output "
            f"scale. Received: {ratios[0]} and {ratios[1]} times at operation {operation.name!r}. Requantize the input "
            "that is far off."
        )
    inputs = [table.index(name) for name in operation.inputs]
    table.add_operator(operation, kind, inputs, version=2, options=options)


def _check_shapes(table: TensorTable, operation: IntegerOperation) -> None:
    """Raises `ValueError` unless the sizes of two inputs are equal or 1 on every axis."""
    shapes = [table.shape(name) for name in operation.inputs]
    fit = len(shapes) == 2 and len(shapes[0]) == len(shapes[1])
    if not fit or any(len({1, *sizes}) > 2 for sizes in zip(*shapes, strict=True)):
        raise ValueError(
            f"`{operation.kind}` takes two inputs of one rank, their sizes equal or 1. Received: {shapes} at operation "
            f"{operation.name!r}. Reshape the smaller one."
        )


def write_softmax(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SOFTMAX over the last axis."""
    grid, fixed = table.grid(operation.output), FIXED_GRIDS["softmax"]
    if grid != fixed:
        raise ValueError(f"`softmax` writes {fixed}. Received: {grid} at operation {operation.name!r}.")
    options = Options("SoftmaxOptions", {"beta": 1.0})
    inputs = [table.index(operation.inputs[0])]
    reach = (grid.low, grid.high)
    table.add_operator(operation, "SOFTMAX", inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


WRITERS = {
    "add": write_add,
    "subtract": write_subtract,
    "multiply": write_multiply,
    "softmax": write_softmax,
}
