"""Kernels as indices of a few bits into tables of codes, which DECODE of TensorFlow Lite for Microcontrollers reads."""

import dataclasses

import numpy as np

from tfmp.graph.open_values import Constant, OpenArray
from tfmp.graph.runtime_limits import BUFFER_ALIGNMENT

DECODE = "TFLM_DECODE"
INDEX_BITS = range(1, 8)
# The header of the table: kind of the encoding and its version, twice; axis and bits of an index; length of a table.
_LOOKUP, _VERSION, _ONE_TABLE = 0, 1, 15
_TABLE_BYTES = 80  # at most, of a tensor and of the alignment of a table that no other kernel shares


@dataclasses.dataclass(frozen=True)
class LookupTable:
    """The two constants of a kernel that DECODE decompresses.

    Args:
        indices: uint8, `bits` for each code, the first in the highest bits of the first byte.
        table: uint8, a header of 16 bytes and one table of int8 codes, or one for each channel.
        bits: Bits of an index.
    """

    indices: Constant
    table: Constant
    bits: int

    @property
    def size_bytes(self) -> int:
        """Bytes of both contents."""
        return self.indices.size + self.table.size


def lookup_table(codes: np.ndarray, axis: int, bits: int) -> LookupTable:
    """Encodes a kernel with a table of all codes of so many bits, which all such kernels of a file share.

    If the table lacks a code of the kernel, as it may where channels are negated, or if it takes fewer bytes, the
    kernel gets a table of its own, or shorter ones for each channel.

    Args:
        codes: int8 codes, as the operator reads them, of at most 128 values in each channel.
        axis: Axis of the channels, the first or the last.
        bits: Bits of the codes, from 1 to 7.
    """
    shared = next(filter(None, (_encoded(codes, None, levels) for levels in _levels(bits))), None)
    others = [each for each in (_encoded(codes, None), _encoded(codes, axis)) if each is not None]
    if shared is not None:
        smaller = (each for each in others if each.size_bytes + _TABLE_BYTES < shared.indices.size)
        return min(smaller, key=lambda each: each.size_bytes, default=shared)
    return min(others, key=lambda each: each.size_bytes)


def open_lookup_table(kernel: OpenArray, bits: int) -> LookupTable:
    """Returns the same for a kernel of unknown codes, with one table, which all kernels of as many bits share."""
    num_bytes = -(-kernel.size * bits // 8)
    indices = OpenArray((num_bytes,), np.uint8, (kernel.label, "indices"))
    return LookupTable(indices, OpenArray((BUFFER_ALIGNMENT + 2**bits,), np.uint8, ("table", bits)), bits)


def _levels(bits: int) -> list[np.ndarray]:
    """Returns what the codes of so many bits may be, in increasing order: integers, or odd ones around zero."""
    integers, odd = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1)), np.arange(1 - 2**bits, 2**bits, 2)
    return [odd] if bits == 1 else [integers, odd]


def _encoded(codes: np.ndarray, axis: int | None, table: np.ndarray | None = None) -> LookupTable | None:
    """Encodes a kernel with one table or with those of the channels; None if a given one lacks a code."""
    channels = codes.reshape(1, -1) if axis is None else np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)
    values = [np.unique(channel) for channel in channels]
    if table is not None:
        if not np.isin(values[0], table).all():
            return None
        values = [table]
    bits = max(1, (max(map(len, values)) - 1).bit_length())
    if bits not in INDEX_BITS:
        return None
    tables = np.zeros((len(values), 2**bits), np.int8)
    for table, known in zip(tables, values, strict=True):
        table[: len(known)] = known
    indices = np.stack([np.searchsorted(known, channel) for known, channel in zip(values, channels, strict=True)])
    if axis is None:
        indices = indices.reshape(codes.shape)
    else:
        other = (size for number, size in enumerate(codes.shape) if number != axis % codes.ndim)
        indices = np.moveaxis(indices.reshape(codes.shape[axis], *other), 0, axis)
    header = np.zeros(BUFFER_ALIGNMENT, np.uint8)
    header[:2] = _LOOKUP, _VERSION
    if axis is None:  # tables of channels that are no bytes apart, for runtimes that know no single table
        header[4:7] = _VERSION, _ONE_TABLE << 4 | bits, 0
    else:
        header[4:7] = _VERSION, axis % codes.ndim << 4 | bits, 2**bits
    places = np.arange(bits - 1, -1, -1)
    packed = np.packbits(indices.reshape(-1, 1) >> places & 1)
    return LookupTable(packed, np.concatenate([header, tables.reshape(-1).view(np.uint8)]), bits)
