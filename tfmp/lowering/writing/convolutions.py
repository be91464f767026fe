"""Operators that multiply by constant codes: convolutions and dense layers."""

from typing import Any

import numpy as np

from tfmp.graph import Grid
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import Constant, OpenArray, is_open, opened, padded, products_of_scales
from tfmp.graph.runtime_limits import LARGEST_KERNEL_CODE, LARGEST_PRODUCT, MULTIPLIER_LIMIT, SMALLEST_SCALE
from tfmp.lowering.writing.gathered_windows import filled_input, gathered_windows, packed_bits_of
from tfmp.lowering.writing.sink import UNFUSED, Options, Quantization
from tfmp.lowering.writing.tensor_table import TensorTable

_PADDINGS = ("same", "valid")


def write_conv2d(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes CONV_2D, kernel `[out, h, w, in / groups]`; the runtime infers the groups from the sizes.

    Only FULLY_CONNECTED can read a packed kernel. Its input has all values of a window as the channels of a position.
    """
    kernel = operation.constants["kernel"]
    channels = table.shape(operation.inputs[0])[-1]
    groups = operation.attributes.get("groups", 1)
    if kernel.ndim != 4 or channels != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise ValueError(
            f"`kernel` must be [height, width, {channels} / groups, filters], the filters a multiple of groups. "
            f"Received: shape {kernel.shape}, groups={groups} at operation {operation.name!r}."
        )
    if packed_bits_of(operation):
        source, kernel = gathered_windows(table, operation)
        _add_fully_connected(table, operation, source, kernel)
        return
    options = Options("Conv2DOptions", {**UNFUSED, **window_options(operation, dilates=True)})
    inputs = _with_constants(table, operation, kernel.transpose(3, 0, 1, 2), axis=0)
    table.add_operator(operation, "CONV_2D", inputs, version=6 if groups > 1 else 3, options=options)


def write_depthwise_conv2d(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes DEPTHWISE_CONV_2D, kernel `[1, h, w, channels * depth_multiplier]`."""
    kernel = operation.constants["kernel"]
    channels = table.shape(operation.inputs[0])[-1]
    if kernel.ndim != 4 or kernel.shape[2] != channels:
        raise ValueError(
            f"`kernel` must be [height, width, {channels}, depth_multiplier]. Received: shape {kernel.shape} at "
            f"operation {operation.name!r}."
        )
    add_depthwise(table, operation, kernel)


def add_depthwise(table: TensorTable, operation: IntegerOperation, kernel: Constant, **arguments: Any) -> None:
    """Appends a depthwise convolution by the operation's constants and an `[h, w, channels, multiplier]` kernel."""
    height, width, channels, depth_multiplier = kernel.shape
    window = window_options(operation, dilates=True)
    options = Options("DepthwiseConv2DOptions", {**UNFUSED, **window, "depth_multiplier": depth_multiplier})
    flat = kernel.reshape(1, height, width, channels * depth_multiplier)
    inputs = _with_constants(table, operation, flat, axis=3)
    table.add_operator(operation, "DEPTHWISE_CONV_2D", inputs, version=3, options=options, **arguments)


def write_dense(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes FULLY_CONNECTED over the last axis, kernel `[out, in]`, one scale per row."""
    kernel = operation.constants["kernel"]
    shape = table.shape(operation.inputs[0])
    if kernel.ndim != 2 or kernel.shape[0] != shape[-1]:
        raise ValueError(
            f"`kernel` must be [{shape[-1]}, units]. Received: shape {kernel.shape} at operation {operation.name!r}."
        )
    source, kernel = filled_input(table, operation) if packed_bits_of(operation) else (None, kernel)
    _add_fully_connected(table, operation, source, kernel)


def _add_fully_connected(table: TensorTable, operation: IntegerOperation, source: int | None, kernel: Constant) -> None:
    """Writes FULLY_CONNECTED with an `[in, out]` kernel; `source` is the index of its input if not the operation's."""
    keeps = len(table.shape(operation.output)) > 2
    options = Options("FullyConnectedOptions", {**UNFUSED, "keep_num_dims": keeps})
    inputs = _with_constants(table, operation, kernel.T, axis=0)
    if source is not None:
        inputs[0] = source
    table.add_operator(operation, "FULLY_CONNECTED", inputs, version=5 if keeps else 4, options=options)


def write_conv2d_transpose(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes TRANSPOSE_CONV, kernel `[out, h, w, in]`; the output's shape is its first input."""
    kernel = operation.constants["kernel"]
    channels = table.shape(operation.inputs[0])[-1]
    if kernel.ndim != 4 or kernel.shape[3] != channels:
        raise ValueError(
            f"`kernel` must be [height, width, filters, {channels}]. Received: shape {kernel.shape} at operation "
            f"{operation.name!r}."
        )
    window = window_options(operation)
    strides = np.array([window["stride_h"], window["stride_w"]])
    # XNNPACK refuses kernels smaller than the strides; adding zeros changes neither result nor shape.
    missing = np.maximum(strides - kernel.shape[:2], 0)
    kernel = padded(kernel, [*((0, count) for count in missing), (0, 0), (0, 0)])
    beyond = np.array(kernel.shape[:2]) - strides if window["padding"] == "VALID" else 0
    expected, shape = (
        tuple(np.array(table.shape(operation.inputs[0])[1:3]) * strides + beyond),
        table.shape(operation.output),
    )
    if shape[1:3] != expected:
        raise ValueError(
            f"`conv2d_transpose` computes height and width {expected}. Received: {shape[1:3]} at operation "
            f"{operation.name!r}. Omit `output_padding`; add a `pad` or `slice` operation after it."
        )
    source, kernel_index, bias = _with_constants(table, operation, kernel.transpose(2, 0, 1, 3), axis=0)
    sizes = table.sink.constant(f"{operation.name}/shape", np.array(shape, np.int32))
    options = Options("TransposeConvOptions", {**UNFUSED, **window})
    table.add_operator(operation, "TRANSPOSE_CONV", [sizes, kernel_index, source, bias], version=4, options=options)


def window_options(operation: IntegerOperation, *, dilates: bool = False) -> dict[str, int | str]:
    """Returns padding, strides and, if the operator has one, dilation as fields of its options."""
    padding = operation.attributes.get("padding", "valid")
    if padding not in _PADDINGS:
        raise ValueError(
            f"`padding` must be 'same' or 'valid'. Received: {padding!r} at operation {operation.name!r}. "
            "Put a `pad` operation before it for other paddings."
        )
    rows, columns = operation.attributes.get("strides", (1, 1))
    window = {"padding": padding.upper(), "stride_h": rows, "stride_w": columns}
    if dilates:
        window["dilation_h_factor"], window["dilation_w_factor"] = operation.attributes.get("dilation", (1, 1))
    return window


def _with_constants(table: TensorTable, operation: IntegerOperation, kernel: Constant, axis: int) -> list[int]:
    kernel_scale, bias = (operation.constants[name] for name in ("kernel_scale", "bias"))
    input_grid, output_grid = (table.grid(name) for name in (operation.inputs[0], operation.output))
    unknown = is_open(kernel, kernel_scale, bias, input_grid, output_grid)
    if not unknown:
        _check_constants(operation, kernel, (kernel.shape[axis],), input_grid, output_grid)
        kernel_scale, bias = np.asarray(kernel_scale, np.float32), np.asarray(bias)
    # One scale per channel even when all are equal: some ARM kernels round differently with a single scale.
    scales = opened(kernel_scale) if unknown else kernel_scale
    of_kernel = Quantization(_each(scales), axis=axis)
    of_bias = Quantization(_each(products_of_scales(input_grid, scales)))
    name, packed_bits = operation.name, packed_bits_of(operation)
    return [
        table.index(operation.inputs[0]),
        table.sink.constant(f"{name}/kernel", kernel, quantization=of_kernel, packed_bits=packed_bits),
        table.sink.constant(f"{name}/bias", bias, quantization=of_bias),
    ]


def _each(scales: Constant) -> Any:
    return scales if isinstance(scales, OpenArray) else tuple(scales.tolist())


def _check_constants(
    operation: IntegerOperation, kernel: np.ndarray, channels: tuple[int, ...], input_grid: Grid, output_grid: Grid
) -> None:
    """Raises `ValueError` for constants with which the runtime does not compute exactly."""
    kernel_scale, bias = (np.asarray(operation.constants[name]) for name in ("kernel_scale", "bias"))
    if kernel.dtype != np.int8 or kernel.size == 0 or np.abs(kernel.astype(np.int16)).max() > LARGEST_KERNEL_CODE:
        raise ValueError(
            f"`kernel` must hold int8 codes from -{LARGEST_KERNEL_CODE} to {LARGEST_KERNEL_CODE}: with -128, kernels "
            f"that add two products in 16 bits overflow. Received: {kernel.dtype} codes at operation "
            f"{operation.name!r}, from {kernel.min(initial=0)} to {kernel.max(initial=0)}. Quantize 8-bit kernels "
            "symmetrically."
        )
    if bias.dtype != np.int32 or bias.shape != channels or kernel_scale.shape != channels:
        raise ValueError(
            f"`bias` must be int32 and `kernel_scale` float32, both {channels}. Received: {bias.dtype} {bias.shape} "
            f"and {kernel_scale.dtype} {kernel_scale.shape} at operation {operation.name!r}."
        )
    kernel_scale = kernel_scale.astype(np.float32)
    bias_scale = np.float32(input_grid.scale) * kernel_scale
    multiplier = bias_scale / np.float32(output_grid.scale)
    smallest = np.minimum(kernel_scale, bias_scale)
    if not np.all((smallest >= SMALLEST_SCALE) & (multiplier < MULTIPLIER_LIMIT)):
        raise ValueError(
            f"`kernel_scale` and `input_scale * kernel_scale` must be positive, from {SMALLEST_SCALE:.3g}, and "
            f"`input_scale * kernel_scale / output_scale` below {MULTIPLIER_LIMIT:.0f}. Received: scales from "
            f"{smallest.min()}, factors to {multiplier.max()} at operation {operation.name!r}. Recalibrate its ranges; "
            "give a channel without weights any other scale."
        )
    product = (multiplier.astype(np.float64) * operation.reach).max()
    if product >= LARGEST_PRODUCT:
        raise ValueError(
            f"`input_scale * kernel_scale / output_scale`, times the largest accumulator, must be below "
            f"{LARGEST_PRODUCT:.0f}: above it, the runtime overflows. Received: {product:.4g} at operation "
            f"{operation.name!r}. Give the channel a smaller scale: its output is out of range with either."
        )


WRITERS = {
    "conv2d": write_conv2d,
    "depthwise_conv2d": write_depthwise_conv2d,
    "dense": write_dense,
    "conv2d_transpose": write_conv2d_transpose,
}
