"""Kernels and biases in a file, within the limits of the runtime."""

from typing import Any

import numpy as np

from tfmp.graph import Grid
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import Constant, OpenArray, is_open, opened, products_of_scales
from tfmp.graph.runtime_limits import (
    LARGEST_INPUT,
    LARGEST_KERNEL_CODE,
    LARGEST_PACKED_BIAS,
    LARGEST_PACKED_SUM,
    LARGEST_PRODUCT,
    MULTIPLIER_LIMIT,
    SMALLEST_SCALE,
)
from tfmp.graph.targets import Target
from tfmp.operators.writing.lookup_table import DECODE, LookupTable, lookup_table, open_lookup_table
from tfmp.operators.writing.sink import Quantization, Sink
from tfmp.operators.writing.tensor_table import TensorTable


def with_constants(table: TensorTable, operation: IntegerOperation, kernel: Constant, axis: int) -> list[int]:
    """Adds the constants of a product to the file. Returns the indices of its input, kernel and bias.

    Args:
        table: The tensors of the file.
        operation: The operation.
        kernel: Its kernel in the layout of the file.
        axis: The axis of the output channels in that layout.
    """
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
    return [
        table.index(operation.inputs[0]),
        _kernel(table, operation, kernel, of_kernel),
        table.sink.constant("", bias, quantization=of_bias),
    ]


def _kernel(table: TensorTable, operation: IntegerOperation, kernel: Constant, quantization: Quantization) -> int:
    """Adds a kernel in INT8, packed, or as indices into tables. Returns its index."""
    name, bits = f"{operation.name}/kernel", operation.attributes.get("index_bits", 8)
    encoded = None if bits == 8 else _encoded(kernel, quantization.axis, bits)
    if encoded is None:
        packed_bits = packed_bits_of(operation, table.target)
        return table.sink.constant(name, kernel, quantization=quantization, packed_bits=packed_bits)
    return add_decoder(table.sink, name, kernel, encoded, quantization)


def add_decoder(sink: Sink, name: str, kernel: Constant, encoded: LookupTable, quantization: Quantization) -> int:
    """Appends the operator that decodes a kernel, whose indices have its name. Returns the index of the kernel."""
    indices = sink.constant(name, encoded.indices)
    codes = sink.constant("", encoded.table)  # without a name: kernels with equal codes share it
    decoded = sink.tensor("", kernel.shape, dtype="int8", quantization=quantization)
    sink.operator(DECODE, [indices, codes], [decoded], version=1)
    return decoded


def _encoded(kernel: Constant, axis: int, bits: int) -> LookupTable | None:
    """Returns a kernel as indices into tables; None if this takes no fewer bytes, as where many channels differ."""
    if isinstance(kernel, OpenArray):
        return open_lookup_table(kernel, bits)
    encoded = lookup_table(kernel, axis, bits)
    return None if encoded.size_bytes > kernel.size else encoded


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


def packed_bits_of(operation: IntegerOperation, target: Target) -> int | None:
    """Returns 4 or 2 if the kernel of an operation is packed; checks its constants."""
    bits = operation.attributes.get("container_bits", 8)
    if bits == 8:
        return None
    if bits not in target.packed_bits.get(operation.kind, ()):
        kinds = " and ".join(f"`{kind}`" for kind, known in target.packed_bits.items() if bits in known)
        raise ValueError(
            f"{kinds or 'No operations'} may have packed kernels. Received: {bits} bits at operation "
            f"{operation.name!r}, `{operation.kind}`. Give it `container_bits=8`."
        )
    if is_open(*operation.constants.values()):
        return bits
    kernel, bias = (np.asarray(operation.constants[name], np.int64) for name in ("kernel", "bias"))
    smallest, largest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if kernel.min() < smallest or kernel.max() > largest:
        raise ValueError(
            f"A kernel in {bits} bits holds codes from {smallest} to {largest}. Received: {kernel.min()} to "
            f"{kernel.max()} at operation {operation.name!r}. Give it `container_bits=8`."
        )
    sums = LARGEST_INPUT * np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(0)
    if np.abs(bias).max() > LARGEST_PACKED_BIAS or sums.max() > LARGEST_PACKED_SUM:
        raise ValueError(
            f"Sums of packed codes may reach {LARGEST_PACKED_SUM}, biases {LARGEST_PACKED_BIAS}: beyond, the runtime "
            f"overflows. Received: {sums.max()} and {np.abs(bias).max()} at operation {operation.name!r}. Give it "
            "`container_bits=8`."
        )
    return bits
