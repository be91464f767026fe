"""Pooling operators, and the mean over height and width."""

import dataclasses
import math

import numpy as np

from tfmp.graph.integer_graph import IntegerOperation
from tfmp.lowering.writing.convolutions import add_depthwise, window_options
from tfmp.lowering.writing.sink import UNFUSED, Options
from tfmp.lowering.writing.tensor_table import TensorTable


def write_max_pool(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MAX_POOL_2D; padding is never the maximum."""
    _add_pool(table, operation, "MAX_POOL_2D")


def write_average_pool(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes a depthwise convolution by ones if no window needs padding, otherwise AVERAGE_POOL_2D.

    The convolution rounds half to even and runs in XNNPACK, 4 to 6 times faster, but divides by the same number
    everywhere; AVERAGE_POOL_2D does not count padding, and rounds half away from zero.
    """
    if _pads(table, operation):
        _add_pool(table, operation, "AVERAGE_POOL_2D")
        return
    table.same_grid(operation)
    height, width = operation.attributes["pool_size"]
    channels = table.shape(operation.inputs[0])[-1]
    constants = {
        "kernel": np.ones((height, width, channels, 1), np.int8),
        "bias": np.zeros(channels, np.int32),
        "kernel_scale": np.full(channels, 1 / (height * width), np.float32),
    }
    attributes = {"strides": operation.attributes["pool_size"], **operation.attributes, "padding": "valid"}
    convolution = dataclasses.replace(operation, attributes=attributes, constants=constants)
    add_depthwise(table, convolution, constants["kernel"], reach=_reach(table, operation))


def write_mean(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MEAN over the second and third axis."""
    rank = len(table.shape(operation.inputs[0]))
    if rank != 4:
        raise ValueError(f"`mean` needs [batch, height, width, channels]. Received: rank {rank} at {operation.name!r}.")
    options = Options("ReducerOptions", {"keep_dims": bool(operation.attributes.get("keepdims", False))})
    axes = table.sink.constant(f"{operation.name}/axes", np.array([1, 2], np.int32))
    grid = table.grid(operation.inputs[0])
    # Its rounding depends on the zero point, so it must not write into a helper tensor.
    table.add_operator(
        operation,
        "MEAN",
        [table.index(operation.inputs[0]), axes],
        version=2,
        options=options,
        reach=(0 if grid.low >= 0 else -math.inf, math.inf),
        keeps_zero_point=True,
    )


def _add_pool(table: TensorTable, operation: IntegerOperation, kind: str) -> None:
    table.same_grid(operation)
    pool_size = operation.attributes["pool_size"]
    attributes = {"strides": pool_size, **operation.attributes}
    window = window_options(dataclasses.replace(operation, attributes=attributes))
    sizes = dict(zip(("filter_height", "filter_width"), pool_size, strict=True))
    options = Options("Pool2DOptions", {**UNFUSED, **window, **sizes})
    inputs = [table.index(operation.inputs[0])]
    reach = _reach(table, operation)
    table.add_operator(operation, kind, inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


def _reach(table: TensorTable, operation: IntegerOperation) -> tuple[int, int]:
    grid = table.grid(operation.inputs[0])
    return grid.low, grid.high


def _pads(table: TensorTable, operation: IntegerOperation) -> bool:
    """Returns True if a window of a pooling with `padding="same"` reaches beyond the edge."""
    if operation.attributes.get("padding", "valid") != "same":
        return False
    pool_size = operation.attributes["pool_size"]
    strides = operation.attributes.get("strides", pool_size)
    sizes = table.shape(operation.inputs[0])[1:3]
    return any(
        (math.ceil(size / stride) - 1) * stride + window > size
        for size, stride, window in zip(sizes, strides, pool_size, strict=True)
    )


WRITERS = {
    "mean": write_mean,
    "average_pool": write_average_pool,
    "max_pool": write_max_pool,
}
