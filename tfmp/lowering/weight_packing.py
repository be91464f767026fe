"""Decides how a TFLite file stores each kernel: INT8, INT4 or INT2."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfmp.checks import check_choice
from tfmp.graph.layer_shape import LayerShape
from tfmp.graph.runtime_limits import LARGEST_CONCATENATION, LARGEST_INPUT, LARGEST_PACKED_SUM, PACKED_BITS
from tfmp.lowering.file_size import FileSize, content_bytes

MODES = ("fast", "small")
_NEW_KINDS_BYTES = 80  # entries and layouts of FULLY_CONNECTED, its options, and operators without options
# The runtime multiplies by packed codes in one operator alone, that of dense layers.
_PACKABLE = ("conv2d", "conv1d", "dense")


@dataclasses.dataclass(frozen=True)
class WeightStorage:
    """The container of one kernel and what it costs.

    A packed kernel (4 or 2 bits a code) is a matrix. A convolution whose window or stride is larger than 1 then gets
    helper operators that gather every window into the channels of one position.

    Args:
        container_bits: 8, 4 or 2: what the file takes for a code.
        kernel_bytes: Of all codes, those included that fill the rows of the matrix.
        helper_bytes: Of the operators around the kernel's own, with their tensors and constants, if no other layer
            shares any of them.
    """

    container_bits: int
    kernel_bytes: int
    helper_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """Kernel and helpers, in their places in the file."""
        return content_bytes(self.kernel_bytes) + self.helper_bytes


def weight_storage(shape: LayerShape, low: int, high: int, *, mode: str = "fast") -> WeightStorage:
    """Decides how a file stores a kernel.

    Args:
        shape: The layer.
        low: Smallest code of its kernel.
        high: Largest code.
        mode: `"fast"`: always 8 bits. `"small"`: the container that makes the file smallest, helpers included, among
            those that hold every code and that the runtime computes exactly.

    Raises:
        ValueError: If the mode is unknown.
    """
    check_mode(mode)
    found = [WeightStorage(8, shape.num_weights)]
    if mode == "small" and shape.kind in _PACKABLE and shape.groups == 1:
        found += [_packed(shape, bits) for bits in PACKED_BITS if _fits(shape, low, high, bits)]
    return min(found, key=lambda storage: storage.size_bytes)


def check_mode(mode: str) -> None:
    """Raises `ValueError` unless `mode` is one of `MODES`."""
    check_choice("mode", mode, MODES)


def filled_channels(channels: int, taps: int, container_bits: int) -> int:
    """Returns the smallest number of channels from `channels` on with which `taps` positions fill whole bytes."""
    codes_per_byte = 8 // container_bits
    step = codes_per_byte // math.gcd(taps, codes_per_byte)
    return -(-channels // step) * step


def _fits(shape: LayerShape, low: int, high: int, bits: int) -> bool:
    largest = 2 ** (bits - 1)
    num_inputs = math.prod(shape.kernel_size) * shape.in_channels
    return -largest <= low and high < largest and num_inputs * largest * LARGEST_INPUT <= LARGEST_PACKED_SUM


def _packed(shape: LayerShape, bits: int) -> WeightStorage:
    channels = filled_channels(shape.in_channels, math.prod(shape.kernel_size), bits)
    num_bytes = channels * math.prod(shape.kernel_size) * shape.out_channels * bits // 8
    size = FileSize()
    add_helpers(size, shape, bits)
    return WeightStorage(bits, num_bytes, size.total_bytes)


def add_helpers(size: FileSize, shape: LayerShape, container_bits: int) -> None:
    """Counts the operators that bring the input of a packed kernel into its form, if it needs any."""
    (rows, columns), (row_step, column_step) = shape.kernel_size, shape.strides
    channels = filled_channels(shape.in_channels, rows * columns, container_bits)
    if shape.kind != "dense" or channels > shape.in_channels:
        size.once("kinds of operators that the file may not have yet", _NEW_KINDS_BYTES)
    height, width = shape.output_size
    # What the last window reaches, in whole steps: sizes before and after each axis is gathered.
    inner_height = (height + (rows - 1) // row_step) * row_step
    inner_width = (width + (columns - 1) // column_step) * column_step
    if channels > shape.in_channels or rows * columns * row_step * column_step > 1:
        _add_helper(size, "PAD", (inner_height, inner_width, channels), [(shape.kernel_size, shape.strides)])
    if row_step > 1:
        _add_helper(size, "RESHAPE", (height, row_step * inner_width, channels), [(height, row_step, inner_width)])
    parts = [((row // row_step, row % row_step * inner_width, 0), channels) for row in range(rows)]
    channels = _add_join(size, parts if rows * row_step > 1 else [], (height, inner_width), channels)
    if column_step > 1:
        channels *= column_step
        _add_helper(size, "RESHAPE", (height, inner_width // column_step, channels), [(height, column_step, channels)])
    per_column = channels // column_step
    parts = [
        ((0, column // column_step, 0), min(column_step, columns - column) * per_column)
        for column in range(0, columns, column_step)
    ]
    _add_join(size, parts if columns * column_step > 1 else [], (height, width), channels)


def _add_join(
    size: FileSize, parts: Sequence[tuple[tuple[int, ...], int]], sizes: tuple[int, ...], channels: int
) -> int:
    """Counts slices, pairs of begin and channels, and what joins them. Returns the channels of the whole."""
    for begin, count in parts:
        _add_helper(size, "SLICE", (*sizes, count), [("begin", *begin), (*sizes, count)])
    joined = [count for _, count in parts]
    while len(joined) > 1:
        first, joined = joined[:LARGEST_CONCATENATION], joined[LARGEST_CONCATENATION:]
        _add_helper(size, "CONCATENATION", (*sizes, sum(first)), [], num_parts=len(first))
        joined.insert(0, sum(first))
    return joined[0] if joined else channels


def _add_helper(
    size: FileSize, kind: str, sizes: tuple[int, ...], arguments: Sequence[Any], *, num_parts: int = 1
) -> None:
    """Counts an operator, the tensor that it writes and the constants that say what it does."""
    size.operator(kind, num_parts + len(arguments), plain=kind != "CONCATENATION")
    size.tensor("", ("batch", *sizes), grid="that of the input")
    for argument in arguments:
        size.argument((kind, argument), 32 if kind == "PAD" else 16)
