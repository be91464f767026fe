"""Operators that keep the scale of codes: movement and resizing."""

from typing import Any

import numpy as np

from tfmp.graph.integer_graph import IntegerOperation
from tfmp.lowering.writing.sink import UNFUSED, Options
from tfmp.lowering.writing.tensor_table import TensorTable


def write_pad(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes PAD with code 0 above, below, left and right."""
    rows = [(0, 0), *operation.attributes["paddings"], (0, 0)]
    rank = len(table.shape(operation.inputs[0]))
    if len(rows) != rank:
        raise ValueError(
            f"`paddings` must hold one pair for each of the {rank - 2} middle axes. Received: "
            f"{operation.attributes['paddings']} at operation {operation.name!r}."
        )
    _add(table, operation, "PAD", Options("PadOptions"), paddings=rows)


def write_slice(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SLICE of a box with the whole batch."""
    source = table.shape(operation.inputs[0])
    begin, size = (tuple(operation.attributes[name]) for name in ("begin", "size"))
    box = zip(begin, size, source[1:], strict=False)
    if len(begin) != len(source) - 1 or any(start < 0 or start + count > whole for start, count, whole in box):
        raise ValueError(
            f"`begin` and `size` must lie within {source[1:]}, the sizes without the batch. Received: {begin} and "
            f"{size} at operation {operation.name!r}."
        )
    _add(table, operation, "SLICE", Options("SliceOptions"), begin=(0, *begin), size=(source[0], *size))


def write_transpose(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes TRANSPOSE of all axes except the batch."""
    permutation = tuple(operation.attributes["permutation"])
    rank = len(table.shape(operation.inputs[0]))
    if sorted(permutation) != list(range(rank)) or permutation[0] != 0:
        raise ValueError(
            f"`permutation` must hold the axes 0 to {rank - 1}, the batch first. Received: {permutation} at operation "
            f"{operation.name!r}."
        )
    version = 4 if rank > 4 else 2
    _add(table, operation, "TRANSPOSE", Options("TransposeOptions"), version=version, permutation=permutation)


def write_resize(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes RESIZE_BILINEAR with half-pixel centres."""
    shape = table.shape(operation.output)
    source = table.shape(operation.inputs[0])
    if len(shape) != 4 or (shape[0], shape[3]) != (source[0], source[3]):
        raise ValueError(
            f"`resize` changes height and width of [batch, height, width, channels]. Received: {source} to {shape} at "
            f"operation {operation.name!r}."
        )
    options = Options("ResizeBilinearOptions", {"half_pixel_centers": True})
    _add(table, operation, "RESIZE_BILINEAR", options, version=3, size=shape[1:3])


def write_reshape(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes RESHAPE to the shape of the output."""
    shape = table.shape(operation.output)
    source = table.shape(operation.inputs[0])
    if np.prod(shape) != np.prod(source):
        raise ValueError(f"Cannot reshape {source} to {shape}. Received at operation {operation.name!r}.")
    _add(table, operation, "RESHAPE", Options("ReshapeOptions", {"new_shape": shape}), version=1, shape=shape)


def write_concatenate(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes CONCATENATION of tensors that share the output's scale and zero point."""
    axis = operation.attributes.get("axis", -1) % len(table.shape(operation.output))
    _add(table, operation, "CONCATENATION", Options("ConcatenationOptions", {**UNFUSED, "axis": axis}))


def _add(
    table: TensorTable,
    operation: IntegerOperation,
    kind: str,
    options: Options | None,
    *,
    version: int = 2,
    **arguments: Any,
) -> None:
    """Writes an operator that takes its arguments as int32 tensors after the operation's inputs."""
    table.same_grid(operation)
    inputs = [table.index(name) for name in operation.inputs]
    for name, values in arguments.items():
        inputs.append(table.sink.constant(f"{operation.name}/{name}", np.array(values, np.int32)))
    grids = [table.grid(name) for name in operation.inputs]
    reach = min(grid.low for grid in grids), max(grid.high for grid in grids)
    table.add_operator(operation, kind, inputs, version=version, options=options, reach=reach, keeps_zero_point=True)


WRITERS = {
    "pad": write_pad,
    "slice": write_slice,
    "transpose": write_transpose,
    "resize": write_resize,
    "reshape": write_reshape,
    "concatenate": write_concatenate,
}
