"""Makes the inner tensors of a file readable."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.tflite.writer.packing import pack, unpack

TENSOR_SIGNATURE = "tensors"
_CODES = (schema.TensorType.INT8, schema.TensorType.UINT8)


def with_readable_tensors(content: bytes) -> bytes:
    """Returns a file with a second signature, `"tensors"`, whose outputs are all tensors of codes.

    XNNPACK keeps only tensors that are outputs. The same kernels compute them.

    Args:
        content: Bytes of a complete file with a signature for its first subgraph.
    """
    model = unpack(content)
    subgraph = model.subgraphs[0]
    computed = {int(index) for operator in subgraph.operators for index in operator.outputs}
    computed.update(map(int, subgraph.inputs))
    tensors = {index: subgraph.tensors[index] for index in sorted(computed)}
    # Helper tensors of an operator have no name.
    names = {tensor.name: index for index, tensor in tensors.items() if tensor.name and _holds_codes(tensor)}
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = TENSOR_SIGNATURE, 0
    signature.inputs = model.signatureDefs[0].inputs
    signature.outputs = [_entry(name, index) for name, index in names.items()]
    model.signatureDefs.append(signature)
    subgraph.outputs = np.array(list(dict.fromkeys([*map(int, subgraph.outputs), *names.values()])), np.int32)
    return pack(model)


def _holds_codes(tensor):
    """Returns True for codes; a cast writes plain integers."""
    return tensor.type in _CODES and tensor.quantization is not None and tensor.quantization.scale is not None


def _entry(name, index):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
