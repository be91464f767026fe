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
    """Inputs and outputs of a file.

    Args:
        inputs: The inputs, with which data are matched, by their names in the file.
        outputs: Names of the outputs in the order of the signature; the runtime sorts them by name.
        sigmoids: Names of the outputs that are sigmoids.
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
    """Returns the operator that computes a tensor; None for an input of the file."""
    for operator in reversed(subgraph.operators):
        if tensor in operator.outputs:
            code = model.operatorCodes[operator.opcodeIndex]
            kind = _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if kind not in _SAME_VALUES:
                return kind
            tensor = operator.inputs[0]
    return None
