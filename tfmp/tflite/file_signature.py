"""Inputs and outputs of a file in the order of its signature."""

import dataclasses

from ai_edge_litert import schema_py_generated as schema

from tfmp.data.model_inputs import ModelInputs
from tfmp.graph import Tensor, TensorRef
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.packing import unpack
from tfmp.tflite.writer.write_tflite import SIGNATURE

_SAME_VALUES = {"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
_KINDS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclasses.dataclass(frozen=True)
class FileSignature:
    """What a file reads and writes.

    Args:
        inputs: What data are fitted to, by the names of the file.
        outputs: Names in their order; the runtime sorts them by name.
        sigmoids: The outputs that are sigmoids.
    """

    inputs: ModelInputs
    outputs: tuple[str, ...]
    sigmoids: frozenset[str]


def file_signature(interpreter: Interpreter) -> FileSignature:
    """Returns the signature that an interpreter runs."""
    model = unpack(interpreter.content)
    (signature,) = (each for each in model.signatureDefs if each.signatureKey.decode() == SIGNATURE)
    subgraph = model.subgraphs[signature.subgraphIndex]
    references = [TensorRef(entry.name.decode()) for entry in signature.inputs]
    tensors = {
        name: Tensor(name, (None, *tensor.shape[1:]), tensor.dtype if tensor.scale is None else "float32")
        for name, tensor in interpreter.inputs.items()
    }
    inputs = ModelInputs(references if len(references) > 1 else references[0], tensors)
    outputs = {entry.name.decode(): entry.tensorIndex for entry in signature.outputs}
    sigmoids = (name for name, index in outputs.items() if _producer(model, subgraph, index) == "LOGISTIC")
    return FileSignature(inputs, tuple(outputs), frozenset(sigmoids))


def _producer(model, subgraph, tensor):
    """The operator that computes the values of a tensor; None for an input of the file."""
    for operator in reversed(subgraph.operators):
        if tensor in operator.outputs:
            code = model.operatorCodes[operator.opcodeIndex]
            kind = _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if kind not in _SAME_VALUES:
                return kind
            tensor = operator.inputs[0]
    return None
