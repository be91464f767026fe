"""The bytes of a TFLite file as objects of the schema, and back."""

from collections.abc import Mapping

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16


def unpack(content: bytes) -> schema.ModelT:
    """Returns the model in the bytes of a complete file."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def pack(model: schema.ModelT) -> bytes:
    """Returns the bytes of a file."""
    model.buffers = [_AlignedBuffer(buffer.data, buffer.offset, buffer.size) for buffer in model.buffers]
    packer = flatbuffers.Builder(sum(len(each.data) for each in model.buffers if each.data is not None) + 4096)
    packer.Finish(model.Pack(packer), file_identifier=FILE_IDENTIFIER)
    return bytes(packer.Output())


def with_metadata(content: bytes, metadata: Mapping[str, bytes]) -> bytes:
    """Returns a file with further metadata, bytes by name, stored unseen."""
    model = unpack(content)
    for name, value in metadata.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(schema.BufferT(np.frombuffer(value, np.uint8)))
        model.metadata = [*(model.metadata or []), entry]
    return pack(model)


class _AlignedBuffer(schema.BufferT):
    """A buffer whose content starts at a multiple of 16 bytes, as the schema asks and the Python packer forgets."""

    def Pack(self, builder):
        if self.data is not None:
            builder.Prep(_BUFFER_ALIGNMENT, len(self.data))
        return super().Pack(builder)
