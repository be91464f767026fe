"""Lists the tensors and layers of a file, and its inputs and outputs in the order of its signature."""

import dataclasses
import os
import re

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.data.model_inputs import ModelInputs
from tfmp.graph import Tensor, TensorRef
from tfmp.operators.writing.tensor_table import UNCLIPPED
from tfmp.reports import FileLayer, FileOperator, StoredTensor, TFLiteFile
from tfmp.reports.tflite_file import BIASES, OTHER, WEIGHTS
from tfmp.tflite.file_metadata import METADATA_NAME, own_metadata
from tfmp.tflite.file_runner import FileRunner
from tfmp.tflite.unloaded_file import UnloadedFile
from tfmp.tflite.writer.packing import text_of, unpack
from tfmp.tflite.writer.write_tflite import SIGNATURE

_TYPE_NAMES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_WIDTHS = {"": 0, "INT2": 2, "INT4": 4, "INT8": 8, "FLOAT32": 32}


def file_contents(interpreter: FileRunner | UnloadedFile, path: str | os.PathLike[str]) -> TFLiteFile:
    """Reads the contents and the metadata of a file.

    Args:
        interpreter: The interpreter of the file, or the file without one.
        path: Path of the file in the result.

    Raises:
        ValueError: If the file is not from tfmp.
    """
    model = unpack(interpreter.content)
    about = own_metadata(model, interpreter.label)
    by_index = _stored_tensors(model)
    tensors = list(by_index.values())
    layers = tuple(_layers(tensors, about["bits"], about["float_layers"]))
    metadata = [entry for entry in model.metadata if entry.name == METADATA_NAME.encode()]
    return TFLiteFile(
        os.fspath(path),
        text_of(model.subgraphs[0].name),
        len(interpreter.content),
        about["mode"],
        about["tfmp"],
        interpreter.inputs,
        interpreter.outputs,
        layers,
        tuple(sorted(tensors, key=lambda tensor: -tensor.size_bytes - tensor.scale_bytes)),
        sum(len(model.buffers[entry.buffer].data) for entry in metadata),
        about["labels"],
        about["target"],
        interpreter.arena_bytes,
        about["float_layers"],
        tuple(_operators(model, by_index, [layer.name for layer in layers])),
    )


def _stored_tensors(model):
    """Returns the constants by their index in the file."""
    stored, counted, biases = {}, {b""}, _names_of_biases(model.subgraphs[0])
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        content = model.buffers[tensor.buffer].data
        if content is None or not len(content):
            continue
        vectors = [_bytes(tensor.quantization, name) for name in ("scale", "zeroPoint")]
        scale_bytes = sum(len(vector) for vector in vectors if vector not in counted)
        type_name = _TYPE_NAMES[tensor.type]
        shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
        stored[index] = StoredTensor(
            biases.get(index) or text_of(tensor.name),
            _role(type_name, shape, vectors[0] != b""),
            type_name,
            shape,
            0 if tensor.buffer in counted else len(content),
            scale_bytes,
        )
        counted.update(vectors, [tensor.buffer])
    return stored


def _names_of_biases(subgraph):
    """Returns names for the biases, which the file does not name, by index: that of the operator that reads them."""
    names = {}
    for operator in subgraph.operators:
        output = text_of(subgraph.tensors[operator.outputs[0]].name).removesuffix(UNCLIPPED)
        for index in () if operator.inputs is None else map(int, operator.inputs):
            tensor = subgraph.tensors[index]
            if not tensor.name and tensor.type == schema.TensorType.INT32 and _bytes(tensor.quantization, "scale"):
                names.setdefault(index, f"{output}/bias")
    return names


def _bytes(quantization, name):
    """Returns the bytes of a vector of a tensor's quantization; the file may store equal vectors once."""
    vector = getattr(quantization, name, None)
    return b"" if vector is None else np.asarray(vector).tobytes()


def _role(type_name, shape, quantized):
    floating = type_name == "FLOAT32"
    if (quantized and type_name in ("INT8", "INT4", "INT2")) or (floating and sum(np.array(shape) > 1) > 1):
        return WEIGHTS
    return BIASES if floating or (quantized and type_name == "INT32") else OTHER


def _layers(tensors, bits, floating):
    """Returns the quantized layers in the order of the network, those in floating point, then others with weights."""
    by_layer = {name: [] for name in (*bits, *floating)}
    for tensor in tensors:  # tensors without a name gather windows
        by_layer.setdefault(_layer_name(tensor.operator, by_layer), []).append(tensor)
    for name, constants in by_layer.items():
        if name in bits or name in floating or any(tensor.role != OTHER for tensor in constants):
            containers = [tensor.type for tensor in constants if tensor.role == WEIGHTS]
            # In mode "float", layers that the converter fused too far to recognize are in floating point.
            nothing = "FLOAT32" if name in bits else ""
            widest = max(containers, key=lambda container: _WIDTHS.get(container, 0), default=nothing)
            yield FileLayer(name, bits.get(name), widest, sum(each.size_bytes + each.scale_bytes for each in constants))


def _layer_name(operator, layers):
    """Returns the layer of an operator; further calls of a layer have a number after its name there."""
    once = re.sub(r"_\d+$", "", operator)
    return once if operator not in layers and once in layers else operator


def _operators(model, constants, layers):
    """Returns the operators of a file, with the constants that they read, also those that are unpacked before."""
    subgraph, counted, unpacked = model.subgraphs[0], set(), {}
    for operator in subgraph.operators:
        read = () if operator.inputs is None else map(int, operator.inputs)
        inputs = [index for each in read for index in unpacked.get(each, (each,)) if index >= 0]
        output = int(operator.outputs[0])
        if inputs and all(index in constants for index in inputs):  # its result is a constant as well
            unpacked[output] = inputs
            continue
        read = [index for index in inputs if index in constants]
        names = [_layer_name(constants[index].operator, layers) for index in read if constants[index].role == WEIGHTS]
        tensor = text_of(subgraph.tensors[output].name)
        yield FileOperator(
            tensor,
            tensor.removesuffix(UNCLIPPED),
            _kind(model, operator),
            next((name for name in names if name in layers), ""),
            sum(constants[index].size_bytes + constants[index].scale_bytes for index in {*read} - counted),
        )
        counted.update(read)


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


def file_signature(interpreter: FileRunner) -> FileSignature:
    """Returns the signature that an interpreter runs."""
    model = unpack(interpreter.content)
    (signature,) = (each for each in model.signatureDefs if text_of(each.signatureKey) == SIGNATURE)
    subgraph = model.subgraphs[signature.subgraphIndex]
    references = [TensorRef(text_of(entry.name)) for entry in signature.inputs]
    tensors = {
        name: Tensor(name, (None, *tensor.shape[1:]), tensor.dtype if tensor.scale is None else "float32")
        for name, tensor in interpreter.inputs.items()
    }
    inputs = ModelInputs(references if len(references) > 1 else references[0], tensors)
    outputs = {text_of(entry.name): entry.tensorIndex for entry in signature.outputs}
    sigmoids = (name for name, index in outputs.items() if _producer(model, subgraph, index) == "LOGISTIC")
    return FileSignature(inputs, tuple(outputs), frozenset(sigmoids))


def _producer(model, subgraph, tensor):
    """Returns the operator that computes a tensor; None for an input of the file."""
    for operator in reversed(subgraph.operators):
        if tensor in operator.outputs:
            kind = _kind(model, operator)
            if kind not in _SAME_VALUES:
                return kind
            tensor = operator.inputs[0]
    return None


def _kind(model, operator):
    code = model.operatorCodes[operator.opcodeIndex]
    return _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
