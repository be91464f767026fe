"""Converts between the bytes of a TFLite file and objects of the schema."""

from collections.abc import Mapping

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.graph.runtime_limits import BUFFER_ALIGNMENT

FILE_IDENTIFIER = b"TFL3"


def unpack(content: bytes) -> schema.ModelT:
    """Returns the model object for the bytes of a file."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def pack(model: schema.ModelT) -> bytes:
    """Returns the bytes of a file for a model object."""
    model.buffers = [_AlignedBuffer(buffer.data, buffer.offset, buffer.size) for buffer in model.buffers]
    for subgraph in model.subgraphs:
        _share(subgraph.tensors, "quantization")
        _share(subgraph.operators, "builtinOptions")
    packer = _SharingBuilder(sum(len(each.data) for each in model.buffers if each.data is not None) + 4096)
    packer.Finish(model.Pack(packer), file_identifier=FILE_IDENTIFIER)
    return bytes(packer.Output())


def text_of(name: bytes | None) -> str:
    """Returns a name in a file; the bytes of a damaged one need not be text."""
    return (name or b"").decode(errors="replace")


def packed_codes(codes: np.ndarray, bits: int) -> bytes:
    """Returns the bytes of 2-, 4- or 8-bit integers, the first in the lowest bits of a byte."""
    per_byte = 8 // bits
    fields = np.pad(codes.reshape(-1), (0, -codes.size % per_byte)).reshape(-1, per_byte)
    fields = fields.astype(np.int8).view(np.uint8) & (2**bits - 1)
    return np.bitwise_or.reduce(fields << (bits * np.arange(per_byte, dtype=np.uint8)), axis=1).tobytes()


def with_metadata(content: bytes, metadata: Mapping[str, bytes]) -> bytes:
    """Returns a file with additional metadata, bytes by name, which the runtime ignores."""
    model = unpack(content)
    for name, value in metadata.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(schema.BufferT(np.frombuffer(value, np.uint8)))
        model.metadata = [*(model.metadata or []), entry]
    return pack(model)


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors and equal strings once; many tensors have equal zero points and shapes."""

    def __init__(self, size):
        super().__init__(size)
        self._offsets = {}

    def CreateNumpyVector(self, x):
        return self.once((x.dtype.str, x.tobytes()), lambda: super(_SharingBuilder, self).CreateNumpyVector(x))

    def CreateString(self, s, *arguments):
        return self.once(s, lambda: super(_SharingBuilder, self).CreateString(s, *arguments))

    def once(self, key, write):
        """Returns the offset of the part that `key` identifies; writes it if it is new."""
        if key not in self._offsets:
            self._offsets[key] = write()
        return self._offsets[key]


class _SharedTable:
    """A table of the schema that is stored once, even if it is referenced several times."""

    def __init__(self, table):
        values = (value.tobytes() if isinstance(value, np.ndarray) else value for value in vars(table).values())
        self._table, self._key = table, (type(table), *values)

    def Pack(self, builder):
        return builder.once(self._key, lambda: self._table.Pack(builder))


def _share(objects, field):
    for each in objects:
        table = getattr(each, field)
        if table is not None and not isinstance(table, _SharedTable):
            setattr(each, field, _SharedTable(table))


class _AlignedBuffer(schema.BufferT):
    """A buffer with content aligned to 16 bytes, which the schema requires and the Python packer omits."""

    def Pack(self, builder):
        if self.data is not None:
            builder.Prep(BUFFER_ALIGNMENT, len(self.data))
        return super().Pack(builder)
