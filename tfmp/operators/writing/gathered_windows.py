"""Gathers the input of a packed kernel: all values of a window in the last axis."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import Constant, padded, scales_of
from tfmp.graph.runtime_limits import LARGEST_CONCATENATION
from tfmp.operators.writing.sink import Options, Quantization
from tfmp.operators.writing.tensor_table import TensorTable


def filled_channels(channels: int, taps: int, container_bits: int) -> int:
    """Returns the smallest number of channels, at least `channels`, with which `taps` positions fill whole bytes."""
    codes_per_byte = 8 // container_bits
    step = codes_per_byte // math.gcd(taps, codes_per_byte)
    return -(-channels // step) * step


def gathered_windows(table: TensorTable, operation: IntegerOperation) -> tuple[int, Constant]:
    """Appends the operators that gather the windows of a convolution, all of which XNNPACK runs.

    Rows first, then columns: a window of K x K takes 2 K slices instead of K * K. If the stride is larger than 1, a
    reshape before the slices puts the rows or columns of one step side by side, because XNNPACK has no strided slices.

    Returns:
        Index of the `[batch, height, width, columns * rows * channels]` tensor, and the kernel as `[in, out]` matrix.
    """
    kernel = operation.constants["kernel"]
    rows, columns, channels, filters = kernel.shape
    attributes = operation.attributes
    strides, dilation = attributes.get("strides", (1, 1)), attributes.get("dilation", (1, 1))
    if attributes.get("groups", 1) > 1 or any(s > 1 < d for s, d in zip(strides, dilation, strict=True)):
        raise ValueError(
            f"Groups, or strides together with dilation, have no packed form. Received: {dict(attributes)} at "
            f"operation {operation.name!r}. Give it `container_bits=8`."
        )
    _, *output, _ = table.shape(operation.output)
    filled = filled_channels(channels, rows * columns, attributes["container_bits"])
    codes = _Codes(table, operation)
    codes.pad([*_paddings(codes.shape[1:3], output, operation), (0, filled - channels)])
    codes.gather_rows(output[0], rows, strides[0], dilation[0])
    codes.gather_columns(output[1], columns, strides[1], dilation[1])
    kernel = padded(kernel, [(0, 0), (0, 0), (0, filled - channels), (0, 0)])
    return codes.index, kernel.transpose(1, 0, 2, 3).reshape(-1, filters)


def filled_input(table: TensorTable, operation: IntegerOperation) -> tuple[int, Constant]:
    """Returns the input of a dense layer and its `[in, out]` kernel, padded with zeros to rows of whole bytes."""
    kernel = operation.constants["kernel"]
    missing = filled_channels(len(kernel), 1, operation.attributes["container_bits"]) - len(kernel)
    codes = _Codes(table, operation)
    codes.pad([*((0, 0) for _ in codes.shape[1:-1]), (0, missing)])
    return codes.index, padded(kernel, [(0, missing), (0, 0)])


def _paddings(sizes: Sequence[int], output: Sequence[int], operation: IntegerOperation) -> Iterator[tuple[int, int]]:
    """Returns the padding before and after each axis, including what fills the last step."""
    kernel, attributes = operation.constants["kernel"], operation.attributes
    steps = zip(attributes.get("strides", (1, 1)), attributes.get("dilation", (1, 1)), strict=True)
    for size, count, window, (stride, dilation) in zip(sizes, output, kernel.shape, steps, strict=False):
        before = 0
        if attributes.get("padding", "valid") == "same":
            before = max(0, (count - 1) * stride + (window - 1) * dilation + 1 - size) // 2
        if stride > 1:
            needed = max(count + (window - 1) // stride, -(-(before + size) // stride)) * stride
        else:
            needed = max(count + (window - 1) * dilation, before + size)
        yield before, needed - before - size


class _Codes:
    """The codes of an operation's input, moved by a sequence of operators."""

    def __init__(self, table: TensorTable, operation: IntegerOperation):
        name = operation.inputs[0]
        grid = table.grid(name)
        self.index, self.shape = table.index(name), table.shape(name)
        self._sink, self._quantization = table.sink, Quantization(scales_of(grid), grid.zero_point)

    def pad(self, paddings: Sequence[tuple[int, int]]) -> None:
        """Pads every axis except the batch with code 0."""
        if np.any(paddings):
            paddings = [(0, 0), *paddings]
            shape = [size + sum(pair) for size, pair in zip(self.shape, paddings, strict=True)]
            self.index = self._moved("PAD", [self.index, self._constant(paddings)], shape, version=2)
            self.shape = tuple(shape)

    def gather_rows(self, count: int, window: int, stride: int, dilation: int) -> None:
        """Moves the rows of every window into the channels."""
        batch, height, width, channels = self.shape
        if stride > 1:
            self._reshape((batch, height // stride, stride * width, channels))
        offsets = [divmod(row * dilation, stride) for row in range(window)]
        size = (batch, count, width, channels)
        self._join([((0, step, inside * width, 0), size) for step, inside in offsets])

    def gather_columns(self, count: int, window: int, stride: int, dilation: int) -> None:
        """Moves the columns of every window into the channels; those of one step are adjacent already."""
        batch, height, width, channels = self.shape
        if stride > 1:
            self._reshape((batch, height, width // stride, stride * channels))
        starts = range(0, window, stride)
        self._join(
            [
                ((0, 0, start * dilation // stride, 0), (batch, height, count, min(stride, window - start) * channels))
                for start in starts
            ]
        )

    def _reshape(self, shape: tuple[int, ...]) -> None:
        self.index = self._moved("RESHAPE", [self.index, self._constant(shape)], shape, version=1)
        self.shape = shape

    def _join(self, boxes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
        """Concatenates boxes, pairs of begin and size, along the channels."""
        parts = [(self._slice(begin, size), size[-1]) for begin, size in boxes]
        while len(parts) > 1:
            first, parts = parts[:LARGEST_CONCATENATION], parts[LARGEST_CONCATENATION:]
            channels = sum(count for _, count in first)
            options = Options("ConcatenationOptions", {"axis": len(self.shape) - 1})
            shape = (*boxes[0][1][:-1], channels)
            indices = [index for index, _ in first]
            parts.insert(0, (self._moved("CONCATENATION", indices, shape, version=2, options=options), channels))
        ((self.index, channels),) = parts
        self.shape = (*boxes[0][1][:-1], channels)

    def _slice(self, begin: tuple[int, ...], size: tuple[int, ...]) -> int:
        if size == self.shape:
            return self.index
        inputs = [self.index, self._constant(begin), self._constant(size)]
        return self._moved("SLICE", inputs, size, version=2)

    def _constant(self, values: Any) -> int:
        return self._sink.constant("", np.array(values, np.int32))

    def _moved(
        self, kind: str, inputs: Sequence[int], shape: Sequence[int], *, version: int, options: Options | None = None
    ) -> int:
        output = self._sink.tensor("", shape, dtype="int8", quantization=self._quantization)
        self._sink.operator(kind, inputs, [output], version=version, options=options)
        return output
