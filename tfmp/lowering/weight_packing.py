"""Decides how a TFLite file stores each kernel: INT8, INT4, INT2 or indices into tables of codes."""

import dataclasses
import functools
import math
from collections.abc import Hashable
from typing import Any

import numpy as np

from tfmp.checks import check_choice
from tfmp.graph.integer_graph import IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.graph.layer_shape import LayerShape
from tfmp.graph.open_values import OpenArray, OpenGrid
from tfmp.graph.runtime_limits import INT8_HIGH, INT8_LOW, LARGEST_INPUT, LARGEST_PACKED_SUM
from tfmp.graph.targets import LITERT, Target
from tfmp.lowering.byte_counter import ByteCounter, content_bytes
from tfmp.operators import kernel_of
from tfmp.operators.writing.gathered_windows import filled_channels, filled_input, gathered_windows
from tfmp.operators.writing.kernel_constants import add_decoder
from tfmp.operators.writing.lookup_table import INDEX_BITS, open_lookup_table
from tfmp.operators.writing.sink import Quantization
from tfmp.operators.writing.tensor_table import TensorTable

MODES = ("fast", "small")
_NEW_KINDS_BYTES = 80  # entries and layouts of FULLY_CONNECTED, its options, and operators without options


@dataclasses.dataclass(frozen=True)
class WeightStorage:
    """The container of one kernel, and its size in the file.

    A packed kernel (4 or 2 bits a code) is a matrix. A convolution whose window or stride is larger than 1 then gets
    helper operators that gather every window into the channels of one position.

    Args:
        container_bits: Bits of a code in the file: 8, 4 or 2.
        kernel_bytes: Bytes of all codes, including those that pad the rows of the matrix.
        helper_bytes: Bytes of the helper operators, with their tensors and constants, if no other layer shares any of
            them.
        unshared_bytes: Bytes of these that no other layer can share.
        shared: What identifies a part of these that all such kernels share, and its bytes; of indices into tables.
        index_bits: Bits of an index if the kernel is stored as indices into tables, otherwise None.
        unpacked_bytes: Bytes of memory that the runtime unpacks the kernel to before it multiplies by it.
    """

    container_bits: int
    kernel_bytes: int
    helper_bytes: int = 0
    unshared_bytes: int = 0
    shared: tuple[tuple[Hashable, int], ...] = ()
    index_bits: int | None = None
    unpacked_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of kernel and helpers in the file."""
        return content_bytes(self.kernel_bytes) + self.helper_bytes

    @property
    def attributes(self) -> dict[str, int]:
        """The attributes of the `IntegerOperation` whose kernel it is."""
        indexed = {} if self.index_bits is None else {"index_bits": self.index_bits}
        return {"container_bits": self.container_bits, **indexed}


@functools.lru_cache(maxsize=4096)
def weight_storage(
    shape: LayerShape, low: int, high: int, *, bits: int | None = None, mode: str = "fast", target: Target = LITERT
) -> WeightStorage:
    """Decides how a file stores a kernel.

    Args:
        shape: The layer.
        low: Smallest code of its kernel.
        high: Largest code.
        bits: Bits of an index to every code; by default those of the integers from `low` to `high`.
        mode: `"fast"`: always 8 bits. `"small"`: the container that makes the file smallest, helpers included, among
            those that hold every code and that the runtime computes exactly.
        target: The runtime.

    Raises:
        ValueError: If the mode is unknown.
    """
    check_mode(mode)
    storages = [WeightStorage(8, shape.num_weights)]
    if mode == "small":
        kind = kernel_of(shape).operation
        containers = target.packed_bits.get(kind, ()) if shape.groups == 1 else ()
        pack = _gathered if target.gathers_windows else _packed
        storages += [pack(shape, container) for container in containers if _fits(shape, low, high, container)]
        bits = max(1, (high - low).bit_length()) if bits is None else bits
        # The runtime decodes no kernel with one scale along its last axis.
        if kind in target.decodes and bits in INDEX_BITS and shape.out_channels > 1:
            storages.append(_indexed(shape, bits))
    return min(storages, key=lambda storage: storage.size_bytes)


def encodings(shape: LayerShape, target: Target = LITERT) -> tuple[WeightStorage, ...]:
    """Returns the ways in which any mode of export may store a kernel of 1 to 8 bits, INT8 first."""
    found: dict[tuple[int, int | None], WeightStorage] = {}
    for bits in range(8, 0, -1):
        low, high = (-1, 1) if bits == 1 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        storage = weight_storage(shape, low, high, bits=bits, mode="small", target=target)
        found.setdefault((storage.container_bits, storage.index_bits), storage)
    return tuple(found.values())


def check_mode(mode: str) -> None:
    """Raises `ValueError` unless `mode` is one of `MODES`."""
    check_choice("mode", mode, MODES)


def _fits(shape: LayerShape, low: int, high: int, bits: int) -> bool:
    largest = 2 ** (bits - 1)
    num_inputs = math.prod(shape.kernel_size) * shape.in_channels
    return -largest <= low and high < largest and num_inputs * largest * LARGEST_INPUT <= LARGEST_PACKED_SUM


def _packed(shape: LayerShape, bits: int) -> WeightStorage:
    return WeightStorage(bits, -(-shape.num_weights * bits // 8), unpacked_bytes=shape.num_weights)


def _indexed(shape: LayerShape, bits: int) -> WeightStorage:
    unshared, shared = _decoding_bytes(bits)
    num_bytes = -(-shape.num_weights * bits // 8)
    helper_bytes = unshared + sum(num_bytes for _, num_bytes in shared)
    return WeightStorage(8, num_bytes, helper_bytes, unshared, shared, bits, shape.num_weights)


@functools.cache
def _decoding_bytes(bits: int) -> tuple[int, tuple[tuple[Hashable, int], ...]]:
    """Returns the bytes of the operator that decodes a kernel, with its tensors, except for the indices.

    Returns:
        Bytes that only this operator needs, and the parts that all operators of as many bits share, with their bytes.
    """
    plain, decoded, table = ByteCounter(), ByteCounter(), ByteCounter()
    kernel, quantization = OpenArray((2, 8), np.int8, "kernel"), Quantization((1.0,))
    plain.constant("kernel", kernel, quantization=quantization)
    encoded = open_lookup_table(kernel, bits)
    add_decoder(decoded, "kernel", kernel, encoded, quantization)
    table.constant("", encoded.table)
    code = next(key for key in decoded.shared if isinstance(key, tuple) and key[0] == "code")
    shared = ((("table", bits), table.total_bytes), (code, decoded.shared[code]))
    own = decoded.total_bytes - content_bytes(encoded.indices.size) - plain.total_bytes + content_bytes(kernel.size)
    return own - sum(num_bytes for _, num_bytes in shared), shared


def _gathered(shape: LayerShape, bits: int) -> WeightStorage:
    channels = filled_channels(shape.in_channels, math.prod(shape.kernel_size), bits)
    num_bytes = channels * math.prod(shape.kernel_size) * shape.out_channels * bits // 8
    unshared, shared = gathering_bytes(shape, bits)
    return WeightStorage(bits, num_bytes, unshared + shared, unshared)


def gathering_bytes(shape: LayerShape, container_bits: int) -> tuple[int, int]:
    """Returns the bytes of the operators that gather the input of a packed kernel, if it needs any.

    Returns:
        Bytes that only these operators need, and bytes that they may share with those of other layers.
    """
    return _gathering_bytes(
        shape.kind == "dense", shape.kernel_size, shape.strides, shape.in_channels, shape.output_size, container_bits
    )


@functools.lru_cache(maxsize=4096)
def _gathering_bytes(
    is_dense: bool,
    kernel_size: tuple[int, int],
    strides: tuple[int, int],
    channels: int,
    output_size: tuple[int, int],
    container_bits: int,
) -> tuple[int, int]:
    counter, grid = ByteCounter(), OpenGrid.of("input", INT8_LOW, INT8_HIGH)
    (rows, columns), (height, width) = kernel_size, output_size
    is_window = math.prod(kernel_size) * math.prod(strides) > 1
    # The worst case: the input is one short of whole steps, and wider than the reach of the last window.
    sizes = [
        (count + (window - 1) // stride + (window == stride > 1)) * stride - is_window
        for count, window, stride in zip(output_size, kernel_size, strides, strict=True)
    ]
    tensors = {"input": (1, *sizes, channels), "output": (1, height, width, 1)}
    kernel = OpenArray((channels, 1) if is_dense else (rows, columns, channels, 1), np.int8, "kernel")
    attributes = {"strides": strides, "container_bits": container_bits}
    constants: dict[str, Any] = {"kernel": kernel}
    operation = IntegerOperation("", "conv2d", ("input",), "output", attributes, constants)
    graph = IntegerGraph(
        "", (), {name: IntegerTensor(name, shape, grid) for name, shape in tensors.items()}, ("input",), (), ()
    )
    table = TensorTable(graph, counter, 1)
    table.alias("input", -1)  # counted for another layer
    (filled_input if is_dense else gathered_windows)(table, operation)
    new_kinds = _NEW_KINDS_BYTES if counter.own_bytes or not is_dense else 0
    return counter.own_bytes, counter.shared_bytes + new_kinds
